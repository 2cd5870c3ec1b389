//! The deliveries of one event to all webhooks.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use license_core::error::{Resource, ServiceError};
use license_core::event::EventId;

use crate::console::Console;
use crate::failure::Failure;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage {
    page: Page,
    event_id: String,
    rows: Vec<SentRow>,
}

/// The delivery to one webhook as a row.
struct SentRow {
    endpoint_id: String,
    url: String,
    status: &'static str,
    tries: u32,
}

pub(crate) async fn show(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(event): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let event = EventId::parse(&event).map_err(|_| Failure::page_not_found())?;
    let webhooks = &console.services.webhooks;
    let mut rows = Vec::new();
    for endpoint in webhooks.list().await? {
        let delivery = match webhooks.delivery(&endpoint.id, &event).await {
            Ok(detail) => detail.delivery,
            Err(ServiceError::NotFound(Resource::Delivery)) => continue,
            Err(error) => return Err(error.into()),
        };
        rows.push(SentRow {
            endpoint_id: endpoint.id.to_string(),
            url: endpoint.settings.url,
            status: delivery.status.as_str(),
            tries: delivery.tries,
        });
    }
    let event_id = event.to_string();
    render(&EventPage {
        page: Page::new(&visit, "Deliveries of an event", Section::Webhooks),
        event_id,
        rows,
    })
}

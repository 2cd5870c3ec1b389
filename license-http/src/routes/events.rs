//! `/api/v1/events`: the event log, newest first.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::event::EventType;
use license_core::license::LicenseId;
use license_core::store::{EventFilter, SequencedEvent};
use serde::Serialize;
use serde_json::Value;

use crate::extract::Query;
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, PageJson, parse_position};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Event))]
pub(crate) struct EventJson<'a> {
    /// Id of the event; webhook receivers get it as `webhook-id`.
    id: String,
    /// Type of the event.
    r#type: &'static str,
    /// The license; null for an event of a webhook endpoint.
    license_id: Option<&'a str>,
    /// Number within the license or endpoint: 1, 2, 3 … without gaps.
    sequence: u64,
    /// When it happened.
    timestamp: DateTime<Utc>,
    /// The license at that time, without its key, and fields specific to the type.
    data: &'a Value,
}

impl<'a> From<&'a SequencedEvent> for EventJson<'a> {
    fn from(SequencedEvent { position: _, event }: &'a SequencedEvent) -> Self {
        Self {
            id: event.id().to_string(),
            r#type: event.event_type.as_str(),
            license_id: event.license_id().map(LicenseId::as_str),
            sequence: event.sequence,
            timestamp: event.at,
            data: &event.data,
        }
    }
}

pub(super) async fn list(State(state): State<HttpState>, mut query: Query) -> Result<Response, Problem> {
    let [from, to] = query.time_range()?;
    let filter = EventFilter {
        event_type: query.take("type", "an event type such as license.created", EventType::parse)?,
        license_id: query.take("license", "the id of a license", |text| LicenseId::parse(text).ok())?,
        from,
        to,
    };
    let page = query.page(parse_position)?;
    query.finish()?;
    let found = state.services.events.list(&filter, &page).await?;
    Ok(wire::json(StatusCode::OK, &PageJson::new(&found, EventJson::from)))
}

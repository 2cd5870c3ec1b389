//! `/api/v1/events`: what happened, newest first.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::event::EventType;
use license_core::json;
use license_core::license::LicenseId;
use license_core::outbox::{EventFilter, Published};
use license_core::service::LicenseService;
use serde::Serialize;
use serde_json::Value;

use crate::extract::Query;
use crate::problem::Problem;
use crate::wire::{self, PageJson};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Event))]
pub(super) struct EventJson<'a> {
    /// Of this event, and what receivers see as `webhook-id`.
    id: String,
    /// What happened.
    r#type: &'static str,
    /// The license it is about; null where it is about an endpoint.
    license_id: Option<&'a str>,
    /// Its number within the license or the endpoint: 1, 2, 3 … without gaps.
    sequence: u64,
    /// When.
    #[serde(serialize_with = "json::time")]
    timestamp: DateTime<Utc>,
    /// The license as it was then, without its key, and what is special to the type.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    data: &'a Value,
}

impl<'a> From<&'a Published> for EventJson<'a> {
    fn from(Published { position: _, event }: &'a Published) -> Self {
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

/// A place in an order of all, as cursors tell it: 1 to 18 digits, which every store can count to.
pub(super) fn parse_position(text: &str) -> Option<u64> {
    let digits = text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

pub(super) async fn list(
    State(service): State<Arc<LicenseService>>,
    mut query: Query,
) -> Result<Response, Problem> {
    let filter = EventFilter {
        event_type: query.take("type", "a type of event such as license.created", EventType::from_stored)?,
        license_id: query.take("license", "the id of a license", |text| LicenseId::parse(text).ok())?,
        from: query.time("from")?,
        to: query.time("to")?,
    };
    let page = query.page(parse_position)?;
    query.finish()?;
    if let (Some(from), Some(to)) = (filter.from, filter.to)
        && from > to
    {
        return Err(Problem::bad_request("from", "This must not be after to."));
    }
    let found = service.events(&filter, &page).await?;
    let page = PageJson {
        data: found.items.iter().map(EventJson::from).collect(),
        next_cursor: found.next.map(|position| position.to_string()),
    };
    Ok(wire::json(StatusCode::OK, &page))
}

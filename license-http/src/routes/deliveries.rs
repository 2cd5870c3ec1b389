//! `/api/v1/webhook-endpoints/{id}/deliveries`: what was sent to an endpoint, and what came back.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::delivery::{Attempt, AttemptResult, DeliveryStatus};
use license_core::json;
use license_core::outbox::DeliveryDetail;
use license_core::service::LicenseService;
use serde::Serialize;

use super::events::parse_position;
use crate::extract::{DeliveryPath, EndpointAsk, EndpointPath, Query};
use crate::problem::Problem;
use crate::wire::{self, PageJson};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Delivery))]
pub(super) struct DeliveryJson<'a> {
    /// That of the event, and what the receiver sees as `webhook-id`.
    id: String,
    /// The type of the event.
    r#type: &'static str,
    /// How it stands.
    status: &'static str,
    /// Since it was made or last replayed.
    tries: u32,
    /// When the event was published.
    #[serde(serialize_with = "json::time")]
    created_at: DateTime<Utc>,
    /// When it is tried next; null once it is done.
    #[serde(serialize_with = "json::time_or_null")]
    next_attempt_at: Option<DateTime<Utc>>,
    /// The last attempts, oldest first.
    attempts: Vec<AttemptJson<'a>>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Attempt))]
pub(super) struct AttemptJson<'a> {
    /// When it began.
    #[serde(serialize_with = "json::time")]
    at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    duration_ms: u64,
    /// The status of the receiver's answer; null where there was none.
    status_code: Option<u16>,
    /// The beginning of the answer.
    answer: Option<&'a str>,
    /// Why there was none.
    error: Option<&'a str>,
}

impl<'a> From<&'a Attempt> for AttemptJson<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        let Attempt { at, duration, result } = attempt;
        let (status_code, answer, error) = match result {
            AttemptResult::Answered { status, retry_after: _, body } => (Some(*status), Some(&**body), None),
            AttemptResult::Failed { error } => (None, None, Some(&**error)),
        };
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self { at: *at, duration_ms, status_code, answer, error }
    }
}

impl<'a> From<&'a DeliveryDetail> for DeliveryJson<'a> {
    fn from(detail: &'a DeliveryDetail) -> Self {
        let DeliveryDetail { delivery, event_type, attempts } = detail;
        Self {
            id: delivery.event_id.to_string(),
            r#type: event_type.as_str(),
            status: delivery.status.as_str(),
            tries: delivery.tries,
            created_at: delivery.created_at,
            next_attempt_at: delivery.due_at,
            attempts: attempts.iter().map(AttemptJson::from).collect(),
        }
    }
}

pub(super) async fn list(
    State(service): State<Arc<LicenseService>>,
    EndpointPath(id): EndpointPath,
    mut query: Query,
) -> Result<Response, Problem> {
    let status = query.take("status", "pending, succeeded or failed", DeliveryStatus::from_stored)?;
    let page = query.page(parse_position)?;
    query.finish()?;
    let found = service.deliveries(&id, status, &page).await?;
    let page = PageJson {
        data: found.items.iter().map(DeliveryJson::from).collect(),
        next_cursor: found.next.map(|position| position.to_string()),
    };
    Ok(wire::json(StatusCode::OK, &page))
}

pub(super) async fn replay(
    State(service): State<Arc<LicenseService>>,
    DeliveryPath(event): DeliveryPath,
    EndpointAsk(id): EndpointAsk,
) -> Result<Response, Problem> {
    service.endpoint(&id).await?;
    let delivery = service.replay_delivery(&id, &event).await?;
    Ok(wire::json(StatusCode::OK, &DeliveryJson::from(&delivery)))
}

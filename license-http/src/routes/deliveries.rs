//! `/api/v1/webhook-endpoints/{id}/deliveries`: deliveries of an endpoint and their attempts.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::store::DeliveryDetail;
use license_core::webhook::{Attempt, AttemptResult, DeliveryStatus};
use serde::Serialize;

use crate::auth::Authenticated;
use crate::extract::{DeliveryPath, EndpointPath, NoInput, Query};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, PageJson, parse_position};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Delivery))]
pub(crate) struct DeliveryJson<'a> {
    /// Id of the event; the receiver gets it as `webhook-id`.
    id: String,
    /// Type of the event.
    r#type: &'static str,
    /// Status of the delivery.
    status: &'static str,
    /// Number of attempts since the delivery was created or last replayed.
    tries: u32,
    /// When the delivery was created.
    created_at: DateTime<Utc>,
    /// When the next attempt is due; null if there will be none.
    next_attempt_at: Option<DateTime<Utc>>,
    /// The last attempts, oldest first.
    attempts: Vec<AttemptJson<'a>>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Attempt))]
pub(crate) struct AttemptJson<'a> {
    /// When the attempt began.
    at: DateTime<Utc>,
    /// Duration in milliseconds.
    duration_ms: u64,
    /// HTTP status of the receiver's answer; null if it did not answer.
    status_code: Option<u16>,
    /// The beginning of the answer.
    answer: Option<&'a str>,
    /// Reason why the receiver did not answer.
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
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
    mut query: Query,
) -> Result<Response, Problem> {
    let status = query.take("status", "pending, succeeded or failed", DeliveryStatus::parse)?;
    let page = query.page(parse_position)?;
    query.finish()?;
    let found = state.services.webhooks.deliveries(&id, status, &page).await?;
    Ok(wire::json(StatusCode::OK, &PageJson::new(&found, DeliveryJson::from)))
}

pub(super) async fn replay(
    State(state): State<HttpState>,
    DeliveryPath(event): DeliveryPath,
    EndpointPath(id): EndpointPath,
    Authenticated { actor, .. }: Authenticated,
    _: NoInput,
) -> Result<Response, Problem> {
    state.services.webhooks.get(&id).await?;
    let delivery = state.services.webhooks.by(&actor).replay(&id, &event).await?;
    Ok(wire::json(StatusCode::OK, &DeliveryJson::from(&delivery)))
}

//! The delivery of an event to a webhook: its attempts and their answers.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::event::EventId;
use license_core::webhook::{Attempt, AttemptResult, DeliveryStatus};

use super::webhook::parse;
use super::{notice, see_other};
use crate::console::Console;
use crate::failure::Failure;
use crate::form::{Form, Query};
use crate::moment::Moment;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;
use crate::zone;

#[derive(Template)]
#[template(path = "delivery.html")]
struct DeliveryPage {
    page: Page,
    endpoint_id: String,
    event_id: String,
    event_type: &'static str,
    status: &'static str,
    /// Whether it is delivered or given up.
    is_settled: bool,
    due: Option<Moment>,
    attempts: Vec<AttemptRow>,
}

/// An attempt as a row.
struct AttemptRow {
    at: Moment,
    milliseconds: u128,
    is_success: bool,
    /// The status code, or `no answer`.
    result: String,
    /// The beginning of the answer, or the error.
    text: String,
}

pub(crate) async fn show(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path((id, event)): Path<(String, String)>,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let (id, event) = (parse(&id)?, parse_event(&event)?);
    let detail = console.services.webhooks.delivery(&id, &event).await?;
    let done = query.text("done").and_then(notice::of_webhook);
    render(&DeliveryPage {
        page: Page::new(&visit, "Delivery", Section::Webhooks).with_notice(done),
        endpoint_id: id.to_string(),
        event_id: event.to_string(),
        event_type: detail.event_type.as_str(),
        status: detail.delivery.status.as_str(),
        is_settled: detail.delivery.status != DeliveryStatus::Pending,
        due: detail.delivery.due_at.map(|at| Moment::new(at, visit.now)),
        attempts: detail.attempts.iter().rev().map(|attempt| AttemptRow::new(attempt, visit.now)).collect(),
    })
}

pub(crate) async fn replay(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path((id, event)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let (id, event) = (parse(&id)?, parse_event(&event)?);
    console.services.webhooks.by(&visitor.actor).replay(&id, &event).await?;
    Ok(see_other(visit.url(&format!("/webhooks/{id}/deliveries/{event}?done=replay"))))
}

/// Sends all events from a day on again.
pub(crate) async fn replay_since(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let id = parse(&id)?;
    let since = form.parsed("since", "From", zone::start_of_day)?;
    let since = since.ok_or_else(|| Failure::field("From", "choose a day"))?;
    console.services.webhooks.by(&visitor.actor).replay_since(&id, since).await?;
    Ok(see_other(visit.url(&format!("/webhooks/{id}?done=replay-since"))))
}

fn parse_event(event: &str) -> Result<EventId, Failure> {
    EventId::parse(event).map_err(|_| Failure::page_not_found())
}

impl AttemptRow {
    fn new(attempt: &Attempt, now: DateTime<Utc>) -> Self {
        let (result, text) = match &attempt.result {
            AttemptResult::Answered { status, body, .. } => (status.to_string(), body.clone()),
            AttemptResult::Failed { error } => ("no answer".to_owned(), error.clone()),
        };
        Self {
            at: Moment::new(attempt.at, now),
            milliseconds: attempt.duration.as_millis(),
            is_success: attempt.is_success(),
            result,
            text,
        }
    }
}

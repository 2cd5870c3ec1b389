//! `/api/v1/webhook-endpoints`: webhook endpoints.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::limits;
use license_core::service::{EndpointWithSecret, TestEvent};
use license_core::webhook::{
    Endpoint, EndpointCommand, EndpointSettings, EndpointState, EventSelection, WebhookSecret,
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::deliveries::DeliveryJson;
use crate::auth::Authenticated;
use crate::extract::{EndpointPath, Fields, IdempotencyHeader, NoIdempotencyKey, NoInput, NoQuery, value};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::webhooks::Webhooks;
use crate::wire::{self, PageJson};

/// Time that a test waits for the receiver: one attempt, and some time to begin it.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);
const TEST_POLL_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = WebhookEndpoint))]
pub(crate) struct EndpointJson<'a> {
    /// Id of the endpoint.
    id: &'a str,
    /// URL that receives the webhooks.
    url: &'a str,
    /// Event types that the endpoint receives; * for all.
    events: Vec<&'static str>,
    /// A note for people.
    description: Option<&'a str>,
    /// Whether events are delivered.
    enabled: bool,
    /// Why it is disabled; null if it is enabled.
    disabled_reason: Option<&'static str>,
    /// When it was disabled; null if it is enabled.
    disabled_at: Option<DateTime<Utc>>,
    /// When it was created.
    created_at: DateTime<Utc>,
    /// When its settings last changed.
    updated_at: DateTime<Utc>,
    /// When a delivery last succeeded; null if none has.
    last_success_at: Option<DateTime<Utc>>,
    /// Since when deliveries have failed; null while they succeed.
    failing_since: Option<DateTime<Utc>>,
    /// Until when the previous secret signs too; null if it does not.
    previous_secret_until: Option<DateTime<Utc>>,
    /// Whether events of bulk jobs are left out.
    skip_job_events: bool,
    /// Signing secret, only in the answer that creates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl<'a> EndpointJson<'a> {
    fn new(endpoint: &'a Endpoint, secret: Option<&'a str>) -> Self {
        let (disabled_at, disabled_reason) = match endpoint.state {
            EndpointState::Enabled => (None, None),
            EndpointState::Disabled { since, reason } => (Some(since), Some(reason.as_str())),
        };
        Self {
            id: endpoint.id.as_str(),
            url: &endpoint.settings.url,
            events: endpoint.settings.events.as_strs(),
            description: endpoint.settings.description.as_deref(),
            enabled: endpoint.is_enabled(),
            disabled_reason,
            disabled_at,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
            last_success_at: endpoint.last_success_at,
            failing_since: endpoint.failing.map(|failing| failing.since),
            previous_secret_until: endpoint.previous_secret.as_ref().map(|previous| previous.until),
            skip_job_events: endpoint.settings.skip_job_events,
            secret,
        }
    }
}

fn endpoint_response(endpoint: &Endpoint) -> Response {
    wire::json(StatusCode::OK, &EndpointJson::new(endpoint, None))
}

fn secret_response(status: StatusCode, endpoint: &Endpoint, secret: &WebhookSecret) -> Response {
    wire::json(status, &EndpointJson::new(endpoint, Some(&secret.reveal())))
}

pub(super) async fn create(
    State(state): State<HttpState>,
    Authenticated { actor, .. }: Authenticated,
    _: NoIdempotencyKey,
    fields: Fields,
) -> Result<Response, Problem> {
    let (settings, enabled) = read_endpoint(&state.webhooks, fields).await?;
    let webhooks = state.services.webhooks.by(&actor);
    let EndpointWithSecret { mut endpoint, secret } = webhooks.create(settings, None).await?;
    if enabled == Some(false) {
        endpoint = webhooks.execute(&endpoint.id, &EndpointCommand::Disable).await?;
    }
    let response = secret_response(StatusCode::CREATED, &endpoint, &secret);
    Ok(wire::with_location(response, format!("webhook-endpoints/{}", endpoint.id)))
}

/// Lists all endpoints on one page, since there are few.
pub(super) async fn list(State(state): State<HttpState>, _: NoQuery) -> Result<Response, Problem> {
    let endpoints = state.services.webhooks.list().await?;
    let data = endpoints.iter().map(|endpoint| EndpointJson::new(endpoint, None)).collect();
    Ok(wire::json(StatusCode::OK, &PageJson { data, next_cursor: None }))
}

pub(super) async fn get(
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    Ok(endpoint_response(&state.services.webhooks.get(&id).await?))
}

pub(super) async fn set(
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
    Authenticated { actor, .. }: Authenticated,
    fields: Fields,
) -> Result<Response, Problem> {
    let (settings, enabled) = read_endpoint(&state.webhooks, fields).await?;
    let webhooks = state.services.webhooks.by(&actor);
    let mut endpoint = webhooks.execute(&id, &EndpointCommand::Set(settings)).await?;
    // Without a change, the endpoint keeps the reason and time of its disabling.
    if let Some(enabled) = enabled.filter(|enabled| *enabled != endpoint.is_enabled()) {
        let command = if enabled { EndpointCommand::Enable } else { EndpointCommand::Disable };
        endpoint = webhooks.execute(&id, &command).await?;
    }
    Ok(endpoint_response(&endpoint))
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Deleted))]
pub(crate) struct Deleted<'a> {
    /// Id of the deleted endpoint.
    id: &'a str,
    /// Always true.
    deleted: bool,
}

pub(super) async fn delete(
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
    Authenticated { actor, .. }: Authenticated,
    _: NoInput,
) -> Result<Response, Problem> {
    state.services.webhooks.by(&actor).delete(&id).await?;
    Ok(wire::json(StatusCode::OK, &Deleted { id: id.as_str(), deleted: true }))
}

pub(super) async fn enable(
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
    Authenticated { actor, .. }: Authenticated,
    _: NoInput,
) -> Result<Response, Problem> {
    let webhooks = state.services.webhooks.by(&actor);
    Ok(endpoint_response(&webhooks.execute(&id, &EndpointCommand::Enable).await?))
}

pub(super) async fn disable(
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
    Authenticated { actor, .. }: Authenticated,
    _: NoInput,
) -> Result<Response, Problem> {
    let webhooks = state.services.webhooks.by(&actor);
    Ok(endpoint_response(&webhooks.execute(&id, &EndpointCommand::Disable).await?))
}

pub(super) async fn rotate_secret(
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
    Authenticated { actor, .. }: Authenticated,
    _: NoIdempotencyKey,
    _: NoInput,
) -> Result<Response, Problem> {
    let EndpointWithSecret { endpoint, secret } =
        state.services.webhooks.by(&actor).rotate_secret(&id).await?;
    Ok(secret_response(StatusCode::OK, &endpoint, &secret))
}

/// Sends a test event. Answers 200 with the first attempt, or 202 if none was made in time.
pub(super) async fn test(
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
    Authenticated { actor, .. }: Authenticated,
    IdempotencyHeader(key): IdempotencyHeader,
    _: NoInput,
) -> Result<Response, Problem> {
    let TestEvent { id: event, repeated } =
        state.services.webhooks.by(&actor).test(&id, key.as_ref()).await?;
    let until = Instant::now() + TEST_TIMEOUT;
    loop {
        let delivery = state.services.webhooks.delivery(&id, &event).await?;
        let tried = !delivery.attempts.is_empty();
        if tried || Instant::now() >= until {
            let status = if tried { StatusCode::OK } else { StatusCode::ACCEPTED };
            return Ok(wire::replayed(repeated, wire::json(status, &DeliveryJson::from(&delivery))));
        }
        tokio::time::sleep(TEST_POLL_INTERVAL).await;
    }
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Replayed))]
pub(crate) struct ReplayJson {
    /// Number of events that will be delivered again.
    replayed: u64,
}

pub(super) async fn replay(
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
    Authenticated { actor, .. }: Authenticated,
    fields: Fields,
) -> Result<Response, Problem> {
    let since = read_since(fields)?;
    let replayed = state.services.webhooks.by(&actor).replay_since(&id, since).await?;
    Ok(wire::json(StatusCode::OK, &ReplayJson { replayed }))
}

/// Reads settings, and whether the endpoint is enabled. Checks the URL before anything is stored.
async fn read_endpoint(
    webhooks: &Webhooks,
    fields: Fields,
) -> Result<(EndpointSettings, Option<bool>), Problem> {
    let mut fields = fields.only(&["url", "events", "description", "enabled", "skip_job_events"])?;
    let settings = EndpointSettings {
        url: fields.require("url", value::text)?,
        events: fields.require("events", read_events)?,
        description: fields.take("description", value::text_or_null)?.flatten(),
        skip_job_events: fields.take("skip_job_events", value::boolean)?.unwrap_or_default(),
    };
    let enabled = fields.take("enabled", value::boolean)?;
    let checked = webhooks.destinations.check(&settings.url).await;
    checked.map_err(|error| value::invalid("url", &error))?;
    Ok((settings, enabled))
}

fn read_since(fields: Fields) -> Result<DateTime<Utc>, Problem> {
    fields.only(&["since"])?.require("since", |field, value| {
        let detail = "This must be an RFC 3339 time such as 2027-01-31T00:00:00Z.";
        wire::parse_time(&value::text(field, value)?).ok_or_else(|| Problem::invalid_field(field, detail))
    })
}

fn read_events(field: &'static str, value: Value) -> Result<EventSelection, Problem> {
    let texts = value::list(field, value, (limits::EVENTS_PER_ENDPOINT, "event types"), |field, text| {
        let detail = "This must be an event type such as license.created, or * for all.";
        match EventSelection::parse([text.as_str()]) {
            Ok(_) => Ok(text),
            Err(_) => Err(Problem::invalid_field(field.to_owned(), detail)),
        }
    })?;
    EventSelection::parse(texts.iter().map(String::as_str)).map_err(|_| {
        Problem::invalid_field(field, "This list must have at least one event type, or * for all.")
    })
}

//! `/api/v1/webhook-endpoints`: where webhooks go, and what is asked of one endpoint.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::endpoint::{Endpoint, EndpointCommand, EndpointState, WebhookSecret};
use license_core::json;
use license_core::service::{KeyedEndpoint, LicenseService};
use serde::Serialize;
use tokio::time::Instant;

use super::deliveries::DeliveryJson;
use crate::extract::{EndpointAsk, EndpointPath, Fields, NoQuery};
use crate::problem::{Problem, sentence};
use crate::state::{HttpState, Shared};
use crate::webhooks::Webhooks;
use crate::wire::requests::endpoint::{self, EndpointRequest};
use crate::wire::{self, PageJson};

type Service = State<Arc<LicenseService>>;

/// How long the answer to a test waits for that of the receiver: an attempt, and some time to begin it.
const TEST_TIME: Duration = Duration::from_secs(20);
const TEST_PAUSE: Duration = Duration::from_millis(100);

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = WebhookEndpoint))]
pub(super) struct EndpointJson<'a> {
    /// Of this endpoint.
    id: &'a str,
    /// Where webhooks go.
    url: &'a str,
    /// The types of events it gets; * for all.
    events: Vec<&'static str>,
    /// A note for people.
    description: Option<&'a str>,
    /// Whether anything is delivered to it.
    enabled: bool,
    /// Why it is disabled.
    disabled_reason: Option<&'static str>,
    /// Since when it is disabled.
    #[serde(serialize_with = "json::time_or_null")]
    disabled_at: Option<DateTime<Utc>>,
    /// When it was made.
    #[serde(serialize_with = "json::time")]
    created_at: DateTime<Utc>,
    /// When its settings last changed.
    #[serde(serialize_with = "json::time")]
    updated_at: DateTime<Utc>,
    /// When it last took a delivery.
    #[serde(serialize_with = "json::time_or_null")]
    last_success_at: Option<DateTime<Utc>>,
    /// Since when it has taken none; null while it does.
    #[serde(serialize_with = "json::time_or_null")]
    failing_since: Option<DateTime<Utc>>,
    /// Until when the secret before this one signs as well.
    #[serde(serialize_with = "json::time_or_null")]
    previous_secret_until: Option<DateTime<Utc>>,
    /// Shown once.
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
            failing_since: endpoint.failing_since,
            previous_secret_until: endpoint.previous_secret.as_ref().map(|previous| previous.until),
            secret,
        }
    }
}

/// Nobody on the way may keep it: it may have a secret in it, and the URL is one for many receivers.
fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = wire::json(status, body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn one(endpoint: &Endpoint) -> Response {
    answer(StatusCode::OK, &EndpointJson::new(endpoint, None))
}

fn keyed(status: StatusCode, endpoint: &Endpoint, secret: &WebhookSecret) -> Response {
    let secret = secret.reveal();
    answer(status, &EndpointJson::new(endpoint, Some(&secret)))
}

/// Whether a webhook may go there. That it may not is known before anything is kept.
async fn check(webhooks: &Webhooks, request: &EndpointRequest) -> Result<(), Problem> {
    let refused = |error| Problem::invalid_field("url", sentence(&error));
    webhooks.destinations.check(&request.settings.url).await.map_err(refused)
}

pub(super) async fn create(
    State(state): State<HttpState>,
    _: NoQuery,
    fields: Fields,
) -> Result<Response, Problem> {
    let Shared { service, webhooks, .. } = &*state;
    let request = endpoint::request(fields)?;
    check(webhooks, &request).await?;
    let EndpointRequest { settings, enabled } = request;
    let KeyedEndpoint { mut endpoint, secret } = service.create_endpoint(settings, None).await?;
    if enabled == Some(false) {
        endpoint = service.execute_endpoint(&endpoint.id, &EndpointCommand::Disable).await?;
    }
    let mut response = keyed(StatusCode::CREATED, &endpoint, &secret);
    // Relative to the request's own path, so that it is right under every prefix and behind every proxy.
    if let Ok(location) = HeaderValue::try_from(format!("webhook-endpoints/{}", endpoint.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// All of them: there are few.
pub(super) async fn list(State(service): Service, _: NoQuery) -> Result<Response, Problem> {
    let endpoints = service.endpoints().await?;
    let data = endpoints.iter().map(|endpoint| EndpointJson::new(endpoint, None)).collect();
    Ok(answer(StatusCode::OK, &PageJson { data, next_cursor: None::<&str> }))
}

pub(super) async fn get(
    State(service): Service,
    EndpointPath(id): EndpointPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    Ok(one(&service.endpoint(&id).await?))
}

pub(super) async fn set(
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
    _: NoQuery,
    fields: Fields,
) -> Result<Response, Problem> {
    let Shared { service, webhooks, .. } = &*state;
    let request = endpoint::request(fields)?;
    check(webhooks, &request).await?;
    let EndpointRequest { settings, enabled } = request;
    let mut endpoint = service.execute_endpoint(&id, &EndpointCommand::Set(settings)).await?;
    // To say again what holds is no change: why and since when it is disabled stays known.
    if let Some(enabled) = enabled.filter(|enabled| *enabled != endpoint.is_enabled()) {
        let command = if enabled { EndpointCommand::Enable } else { EndpointCommand::Disable };
        endpoint = service.execute_endpoint(&id, &command).await?;
    }
    Ok(one(&endpoint))
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Deleted))]
pub(super) struct Deleted<'a> {
    /// Of the endpoint that was.
    id: &'a str,
    /// It is gone.
    deleted: bool,
}

pub(super) async fn delete(
    State(service): Service,
    EndpointAsk(id): EndpointAsk,
) -> Result<Response, Problem> {
    service.delete_endpoint(&id).await?;
    Ok(answer(StatusCode::OK, &Deleted { id: id.as_str(), deleted: true }))
}

pub(super) async fn enable(
    State(service): Service,
    EndpointAsk(id): EndpointAsk,
) -> Result<Response, Problem> {
    Ok(one(&service.execute_endpoint(&id, &EndpointCommand::Enable).await?))
}

pub(super) async fn disable(
    State(service): Service,
    EndpointAsk(id): EndpointAsk,
) -> Result<Response, Problem> {
    Ok(one(&service.execute_endpoint(&id, &EndpointCommand::Disable).await?))
}

pub(super) async fn rotate_secret(
    State(service): Service,
    EndpointAsk(id): EndpointAsk,
) -> Result<Response, Problem> {
    let KeyedEndpoint { endpoint, secret } = service.rotate_endpoint_secret(&id).await?;
    Ok(keyed(StatusCode::OK, &endpoint, &secret))
}

/// Sends a test the way of every event, and says what came back: 200 with the first attempt, 202 where none was made in time.
pub(super) async fn test(State(service): Service, EndpointAsk(id): EndpointAsk) -> Result<Response, Problem> {
    let event = service.test_endpoint(&id).await?;
    let until = Instant::now() + TEST_TIME;
    loop {
        let delivery = service.delivery(&id, &event).await?;
        let tried = !delivery.attempts.is_empty();
        if tried || Instant::now() >= until {
            let status = if tried { StatusCode::OK } else { StatusCode::ACCEPTED };
            return Ok(answer(status, &DeliveryJson::from(&delivery)));
        }
        tokio::time::sleep(TEST_PAUSE).await;
    }
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Replayed))]
pub(super) struct ReplayJson {
    /// How many events will be delivered again.
    replayed: u64,
}

pub(super) async fn replay(
    State(service): Service,
    EndpointPath(id): EndpointPath,
    _: NoQuery,
    fields: Fields,
) -> Result<Response, Problem> {
    let since = endpoint::since(fields)?;
    let replayed = service.replay_since(&id, since).await?;
    Ok(answer(StatusCode::OK, &ReplayJson { replayed }))
}

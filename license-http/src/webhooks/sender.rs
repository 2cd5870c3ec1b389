//! One attempt: an event goes to an endpoint, signed, and what came back is kept. By Standard Webhooks 1.0.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use license_core::delivery::{Attempt, AttemptResult};
use license_core::endpoint::WebhookSecret;
use license_core::service::Outgoing;
use license_core::{json, limits};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, redirect};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt;
use serde::Serialize;
use serde_json::Value;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError,
};
use tokio::time::Instant;

use super::destination::Destinations;

/// The whole of an attempt, from the name to the answer, unless set.
pub(super) const ATTEMPT_TIME: Duration = Duration::from_secs(15);
/// A connection that nothing is sent on is closed after so long. Its address was judged when it was made.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// Longest text of a failure that is kept, in characters.
const FAILURE_CHARS: usize = 200;

/// What is sent.
pub(super) struct Message<'a> {
    pub(super) url: &'a str,
    /// The same for every attempt.
    pub(super) id: &'a str,
    /// Each signs; two while one takes the place of the other.
    pub(super) secrets: &'a [WebhookSecret],
    pub(super) body: String,
}

/// The body, by Standard Webhooks.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    #[serde(serialize_with = "json::time")]
    timestamp: DateTime<Utc>,
    data: &'a Value,
}

/// Sends to whatever its rules let it.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    client: Client,
    destinations: Destinations,
    pub(super) attempt_time: Duration,
}

/// The HTTPS client cannot be set up, for example because the machine has no root certificates.
#[derive(Debug, thiserror::Error)]
#[error("no webhook can be sent: the HTTPS client cannot be set up")]
pub struct SetupError(#[source] Box<dyn Error + Send + Sync>);

/// TLS with the root certificates of the machine.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

impl Sender {
    pub(super) fn new(destinations: Destinations) -> Result<Self, SetupError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls().map_err(|error| SetupError(error.into()))?)
            .dns_resolver(destinations.clone())
            .redirect(redirect::Policy::none())
            // A proxy of the environment would connect in our place, to addresses that nobody judged.
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .pool_idle_timeout(IDLE_TIME)
            .user_agent(concat!("license-webhooks/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| SetupError(error.into()))?;
        Ok(Self { client, destinations, attempt_time: ATTEMPT_TIME })
    }

    pub(super) fn destinations(&self) -> &Destinations {
        &self.destinations
    }

    /// Makes one attempt to deliver. However it ends, that is an attempt.
    pub(super) async fn deliver(&self, outgoing: &Outgoing, now: DateTime<Utc>) -> Attempt {
        let Outgoing { event, endpoint, secrets, .. } = outgoing;
        let body = Body { r#type: event.event_type.as_str(), timestamp: event.at, data: &event.data };
        let message = Message {
            url: &endpoint.settings.url,
            id: &event.id().to_string(),
            secrets,
            // Nothing in it fails to be JSON.
            body: serde_json::to_string(&body).unwrap_or_default(),
        };
        self.send(message, now).await
    }

    pub(super) async fn send(&self, message: Message<'_>, now: DateTime<Utc>) -> Attempt {
        let began = Instant::now();
        let until = began + self.attempt_time;
        let answered = async {
            let url = self.destinations.url(message.url).map_err(|error| error.to_string())?;
            let headers = headers(&message, now).map_err(|error| error.to_string())?;
            let request = self.client.post(url).headers(headers).body(message.body);
            request.send().await.map_err(|error| failure(&error))
        };
        let result = match tokio::time::timeout_at(until, answered).await {
            Err(_) => {
                let error = format!("no answer within {} seconds", self.attempt_time.as_secs());
                AttemptResult::Failed { error }
            }
            Ok(Err(error)) => AttemptResult::Failed { error },
            Ok(Ok(mut response)) => AttemptResult::Answered {
                status: response.status().as_u16(),
                retry_after: response.headers().get(RETRY_AFTER).and_then(|value| pause(value, now)),
                body: start_of(&mut response, until).await,
            },
        };
        Attempt { at: now, duration: began.elapsed(), result }
    }
}

fn headers(message: &Message<'_>, now: DateTime<Utc>) -> Result<HeaderMap, WebhookError> {
    let seconds = now.timestamp();
    let signatures = message
        .secrets
        .iter()
        .map(|secret| {
            let key = Webhook::from_bytes(secret.as_bytes().to_vec())?;
            key.sign(message.id, seconds, message.body.as_bytes())
        })
        .collect::<Result<Vec<_>, _>>()?
        .join(" ");
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HEADER_WEBHOOK_TIMESTAMP, seconds.into());
    for (name, value) in [(HEADER_WEBHOOK_ID, message.id), (HEADER_WEBHOOK_SIGNATURE, &signatures)] {
        let value = HeaderValue::try_from(value).map_err(|_| WebhookError::InvalidHeader(name))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The first of what a receiver says; one that goes on without end is cut off.
async fn start_of(response: &mut Response, until: Instant) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < limits::ANSWER_BYTES {
        match tokio::time::timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                bytes.extend_from_slice(&chunk[..chunk.len().min(limits::ANSWER_BYTES - bytes.len())]);
            }
            // Its end, or it broke off, or it is too slow: the status has been said.
            _ => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `Retry-After`: seconds, or one of the three forms of a date that HTTP knows.
fn pause(value: &HeaderValue, now: DateTime<Utc>) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than a number holds is as long as one holds.
        return Some(Duration::from_secs(text.parse().unwrap_or(u32::MAX).into()));
    }
    let date = DateTime::parse_from_rfc2822(text).map(|time| time.to_utc()).ok().or_else(|| {
        ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
            .into_iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
            .map(|time| time.and_utc())
    })?;
    // A moment of the past is no pause.
    Some((date - now).to_std().unwrap_or_default())
}

/// What lies at the bottom of a failure, without the URL: it may have a token of the receiver's in it.
fn failure(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    let what = if error.is_connect() { "no connection" } else { "no answer" };
    // Texts of others: a receiver's certificate may have any name in it.
    format!("{what}: {cause}").chars().filter(|c| !c.is_control()).take(FAILURE_CHARS).collect()
}

#[cfg(test)]
mod tests;

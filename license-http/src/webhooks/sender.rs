//! Sends one signed event to an endpoint, by Standard Webhooks 1.0.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use license_core::limits;
use license_core::service::Outgoing;
use license_core::webhook::{Attempt, AttemptResult, WebhookSecret};
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

/// Default timeout of an attempt, from the name lookup to the end of the answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// Idle time after which a connection is closed. Its address was checked when it was opened.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum length of a recorded error, in characters.
const FAILURE_CHARS: usize = 200;

/// A message to send.
pub(super) struct Message<'a> {
    pub(super) url: &'a str,
    /// `webhook-id`, the same for every attempt.
    pub(super) id: &'a str,
    /// All of them sign. There are two while a secret is being replaced.
    pub(super) secrets: &'a [WebhookSecret],
    pub(super) body: String,
}

/// Body of Standard Webhooks.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: DateTime<Utc>,
    data: &'a Value,
}

/// Sends messages to allowed destinations.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    client: Client,
    pub(super) destinations: Destinations,
    pub(super) attempt_timeout: Duration,
}

/// The HTTPS client cannot be set up, for example because the machine has no root certificates.
#[derive(Debug, thiserror::Error)]
#[error("the HTTPS client for webhooks cannot be set up")]
pub struct SenderError(#[source] Box<dyn Error + Send + Sync>);

/// Configures TLS with the root certificates of the machine.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

impl Sender {
    pub(super) fn new(destinations: Destinations) -> Result<Self, SenderError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls().map_err(|error| SenderError(error.into()))?)
            .dns_resolver(destinations.clone())
            .redirect(redirect::Policy::none())
            // A proxy from the environment would connect to addresses that are not checked.
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("license-webhooks/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| SenderError(error.into()))?;
        Ok(Self { client, destinations, attempt_timeout: ATTEMPT_TIMEOUT })
    }

    /// Makes one attempt. A failure is a result, not an error.
    pub(super) async fn deliver(&self, outgoing: &Outgoing, now: DateTime<Utc>) -> Attempt {
        let Outgoing { event, endpoint, secrets, .. } = outgoing;
        let body = Body { r#type: event.event_type.as_str(), timestamp: event.at, data: &event.data };
        let message = Message {
            url: &endpoint.settings.url,
            id: &event.id().to_string(),
            secrets,
            // This type always serializes.
            body: serde_json::to_string(&body).unwrap_or_default(),
        };
        self.send(message, now).await
    }

    pub(super) async fn send(&self, message: Message<'_>, now: DateTime<Utc>) -> Attempt {
        let began = Instant::now();
        let until = began + self.attempt_timeout;
        let answered = async {
            let url = self.destinations.url(message.url).map_err(|error| error.to_string())?;
            let headers = headers(&message, now).map_err(|error| error.to_string())?;
            let request = self.client.post(url).headers(headers).body(message.body);
            request.send().await.map_err(|error| failure(&error))
        };
        let result = match tokio::time::timeout_at(until, answered).await {
            Err(_) => {
                let error = format!("no answer within {} seconds", self.attempt_timeout.as_secs());
                AttemptResult::Failed { error }
            }
            Ok(Err(error)) => AttemptResult::Failed { error },
            Ok(Ok(mut response)) => AttemptResult::Answered {
                status: response.status().as_u16(),
                retry_after: response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value, now)),
                body: read_start(&mut response, until).await,
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

/// Reads the start of an answer, up to the limit.
async fn read_start(response: &mut Response, until: Instant) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < limits::ANSWER_BYTES {
        match tokio::time::timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                bytes.extend_from_slice(&chunk[..chunk.len().min(limits::ANSWER_BYTES - bytes.len())]);
            }
            // Complete, broken off or too slow. The status is known already.
            _ => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Parses `Retry-After`: seconds, or a date in one of the three formats of HTTP.
fn retry_after(value: &HeaderValue, now: DateTime<Utc>) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A larger number is treated as the maximum.
        return Some(Duration::from_secs(text.parse().unwrap_or(u32::MAX).into()));
    }
    let date = DateTime::parse_from_rfc2822(text).map(|time| time.to_utc()).ok().or_else(|| {
        ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
            .into_iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
            .map(|time| time.and_utc())
    })?;
    // A time in the past means no pause.
    Some((date - now).to_std().unwrap_or_default())
}

/// Returns the root cause of a failure. It omits the URL, which may contain a token of the receiver.
fn failure(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    let what = if error.is_connect() { "no connection" } else { "no answer" };
    // The cause may contain text of the receiver, for example from its certificate.
    format!("{what}: {cause}").chars().filter(|c| !c.is_control()).take(FAILURE_CHARS).collect()
}

#[cfg(test)]
mod tests;

//! Sends one signed event to an endpoint, by Standard Webhooks 1.0.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, Request, Response};
use chrono::{DateTime, NaiveDateTime, Utc};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::ext::on_informational;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use license_core::limits;
use license_core::service::Outgoing;
use license_core::webhook::{Attempt, AttemptResult, WebhookSecret};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt;
use serde::Serialize;
use serde_json::Value;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::destination::Destinations;

/// Default timeout of an attempt, from the name lookup to the end of the answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// Idle time after which a connection is closed. Its address was checked when it was opened.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of informational answers (1xx) before the answer.
const INFORMATIONAL_ANSWERS: u32 = 8;
/// Value of `User-Agent`.
const AGENT: &str = concat!("license-webhooks/", env!("CARGO_PKG_VERSION"));
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
    client: Client<HttpsConnector<HttpConnector<Destinations>>, Full<Bytes>>,
    pub(super) destinations: Destinations,
    pub(super) attempt_timeout: Duration,
}

/// The HTTPS client cannot be set up, for example because the machine has no root certificates.
#[derive(Debug, thiserror::Error)]
#[error("the HTTPS client for webhooks cannot be set up")]
pub struct SenderError(#[source] rustls::Error);

/// Configures TLS with the root certificates of the machine.
fn tls() -> Result<ClientConfig, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth())
}

impl Sender {
    /// The client follows no redirects, uses no proxy and repeats nothing: each of them could send to an
    /// address that was not checked.
    pub(super) fn new(destinations: Destinations) -> Result<Self, SenderError> {
        let mut tcp = HttpConnector::new_with_resolver(destinations.clone());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls().map_err(SenderError)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .retry_canceled_requests(false)
            .build(connector);
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
            let mut request = Request::post(url.as_str())
                .body(Full::from(message.body))
                .map_err(|error| error.to_string())?;
            *request.headers_mut() = headers;
            let too_many = limit_informational(&mut request);
            tokio::select! {
                answer = self.client.request(request) => answer.map_err(|error| failure(&error)),
                () = too_many.notified() => Err(format!("more than {INFORMATIONAL_ANSWERS} informational answers")),
            }
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

/// Notifies when a receiver has sent too many informational answers (1xx), of which HTTP allows any number.
fn limit_informational(request: &mut Request<Full<Bytes>>) -> Arc<Notify> {
    let too_many = Arc::new(Notify::new());
    let (count, exceeded) = (AtomicU32::new(0), Arc::clone(&too_many));
    on_informational(request, move |_| {
        if count.fetch_add(1, Ordering::Relaxed) == INFORMATIONAL_ANSWERS {
            exceeded.notify_one();
        }
    });
    too_many
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
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(HEADER_WEBHOOK_TIMESTAMP, seconds.into());
    for (name, value) in [(HEADER_WEBHOOK_ID, message.id), (HEADER_WEBHOOK_SIGNATURE, &signatures)] {
        let value = HeaderValue::try_from(value).map_err(|_| WebhookError::InvalidHeader(name))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Reads the start of an answer, up to the limit.
async fn read_start(response: &mut Response<Incoming>, until: Instant) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < limits::ANSWER_BYTES {
        match tokio::time::timeout_at(until, response.body_mut().frame()).await {
            Ok(Some(Ok(frame))) => {
                let data = frame.into_data().unwrap_or_default();
                bytes.extend_from_slice(&data[..data.len().min(limits::ANSWER_BYTES - bytes.len())]);
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
fn failure(error: &legacy::Error) -> String {
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

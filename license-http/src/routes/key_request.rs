//! Calls that need only a license key: limits, body, refusals, and the header that reports an outage.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::error::ValidateError;
use license_core::limits;
use license_core::signing::{Nonce, ProofRequest};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::SemaphorePermit;

use crate::client_ip::ClientAddress;
use crate::extract::value::{bool_or_null, invalid, list, text, text_or_null, time_or_null, whole};
use crate::extract::{Fields, prefers_lenient, read_json};
use crate::hardening::guard;
use crate::problem::{Code, Problem};
use crate::state::HttpState;
use crate::wire;

/// Marks answers during an outage: the license is as last read, and the validation waits in memory.
const STORE_STATE: HeaderName = HeaderName::from_static("x-license-store");

/// Confirms a preference of RFC 7240.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// A call, as its handler sees it.
pub(super) struct KeyCall<'a> {
    pub(super) state: &'a HttpState,
    pub(super) client: Option<ClientAddress>,
}

/// Answers a call, within the limits of its address. A call with a known key gets its verdict even past them:
/// other customers may share the address.
pub(super) async fn call(
    state: &HttpState,
    request: Request,
    answer: impl AsyncFnOnce(KeyCall<'_>, Request) -> Result<Response, Problem>,
) -> Response {
    guard(request, Problem::into_refusal, async |request| {
        let client = request.extensions().get::<ClientAddress>().copied();
        let counted = state.limits.count_call(client);
        let answered = match answer(KeyCall { state, client }, request).await {
            Ok(verdict) if verdict.status() == StatusCode::OK => Ok(verdict),
            Err(problem) if !is_fault_of_caller(&problem) => Err(problem),
            refused => {
                // Past the limit of calls, failures are counted too: otherwise cheap calls would hide
                // guesses.
                let guess = count_guess(state, client, &refused);
                counted.inspect_err(|_| state.limits.count_refused_address()).and(guess).and(refused)
            }
        };
        let mut response = answered.unwrap_or_else(Problem::into_refusal);
        if state.services.is_down() {
            response.headers_mut().insert(STORE_STATE, HeaderValue::from_static("down"));
        }
        response
    })
    .await
}

fn is_fault_of_caller(problem: &Problem) -> bool {
    problem.status.is_client_error() && problem.status != StatusCode::TOO_MANY_REQUESTS
}

/// Counts an unknown or malformed key, and an unknown lease, as a failure. Past the limit, the answer hides
/// which it was.
fn count_guess(
    state: &HttpState,
    client: Option<ClientAddress>,
    refused: &Result<Response, Problem>,
) -> Result<(), Problem> {
    let is_guess = match refused {
        Ok(not_found) => not_found.status() == StatusCode::NOT_FOUND,
        Err(problem) => {
            problem.status == StatusCode::NOT_FOUND || problem.code == Code::LicenseKeyMalformed.as_str()
        }
    };
    if is_guess { state.limits.count_failure(client) } else { Ok(()) }
}

/// The body of a call.
pub(super) struct KeyBody {
    pub(super) key: String,
    pub(super) domain: Option<String>,
    pub(super) fingerprint: Option<String>,
    pub(super) client: Option<String>,
    pub(super) released_at: Option<DateTime<Utc>>,
    pub(super) product: Option<String>,
    pub(super) features: Vec<String>,
    pub(super) activate: bool,
    pub(super) activation_id: Option<String>,
    pub(super) days: Option<u32>,
    /// What a proof of the answer is about, if the request has a nonce.
    pub(super) proof: Option<ProofRequest>,
    /// Unknown fields, if the caller prefers that they are ignored.
    ignored: Option<Vec<String>>,
}

impl KeyCall<'_> {
    /// Reads a body with the fields of these `names`, and takes a permit to answer it.
    pub(super) async fn read(
        &self,
        request: Request,
        names: &[&'static str],
    ) -> Result<(KeyBody, SemaphorePermit<'_>), Problem> {
        let lenient = prefers_lenient(request.headers());
        let bytes = read_json(request, self.state).await?;
        // After the body is read: slow bodies must not take the places of complete ones.
        let permit = self.state.limits.validations.acquire()?;
        // These calls have one code for all errors of a body.
        let body = KeyBody::parse(&bytes, names, lenient);
        let (mut body, nonce) = body.map_err(|problem| problem.with_code(Code::BadRequest))?;
        body.proof = nonce.map(|nonce| ProofRequest::new(nonce, &bytes, self.state.services.now()));
        Ok((body, permit))
    }

    /// Reads a body with one field, a code, and takes a permit to answer it.
    pub(super) async fn read_code(
        &self,
        request: Request,
        name: &'static str,
    ) -> Result<(CodeBody, SemaphorePermit<'_>), Problem> {
        let lenient = prefers_lenient(request.headers());
        let bytes = read_json(request, self.state).await?;
        let permit = self.state.limits.validations.acquire()?;
        let parse = || -> Result<_, Problem> {
            let (mut fields, ignored) = parse_fields(&bytes, &[name], lenient)?;
            Ok(CodeBody { code: fields.require(name, text)?, ignored })
        };
        Ok((parse().map_err(|problem| problem.with_code(Code::BadRequest))?, permit))
    }

    /// Checks the form of the key and the limits of the key, before any look-up.
    pub(super) fn check_key(&self, body: &KeyBody) -> Result<(), Problem> {
        let key = self.state.services.validation.identify(&body.key).map_err(ValidateError::from)?;
        self.state.limits.check_key(self.client, &key)
    }
}

impl KeyBody {
    fn parse(bytes: &[u8], names: &[&'static str], lenient: bool) -> Result<(Self, Option<Nonce>), Problem> {
        let (mut fields, ignored) = parse_fields(bytes, names, lenient)?;
        let body = Self {
            key: fields.require("key", text)?,
            domain: fields.take("domain", text_or_null)?.flatten(),
            fingerprint: fields.take("fingerprint", text_or_null)?.flatten(),
            client: fields.take("client", text_or_null)?.flatten(),
            released_at: fields.take("released_at", time_or_null)?.flatten(),
            product: fields.take("product", text_or_null)?.flatten(),
            features: fields.take("features", features)?.unwrap_or_default(),
            activate: fields.take("activate", bool_or_null)?.flatten().unwrap_or(true),
            activation_id: fields.take("activation_id", text_or_null)?.flatten(),
            days: fields.take("days", days_or_null)?.flatten(),
            proof: None,
            ignored,
        };
        Ok((body, fields.take("nonce", nonce)?.flatten()))
    }

    /// Returns the answer to the call, with the ignored fields.
    pub(super) fn answer(&self, status: StatusCode, answer: &impl Serialize) -> Response {
        answer_to(self.ignored.as_deref(), status, answer)
    }
}

/// Returns the fields of a body and, if the caller prefers that unknown ones are ignored, their names.
fn parse_fields(
    bytes: &[u8],
    names: &[&'static str],
    lenient: bool,
) -> Result<(Fields, Option<Vec<String>>), Problem> {
    if lenient {
        let (fields, unknown) = Fields::parse(bytes)?.split_unknown(names);
        Ok((fields, Some(unknown)))
    } else {
        Ok((Fields::parse(bytes)?.only(names)?, None))
    }
}

/// Returns an answer with the ignored fields, if the caller prefers that they are ignored.
fn answer_to(ignored: Option<&[String]>, status: StatusCode, answer: &impl Serialize) -> Response {
    let Some(ignored) = ignored else { return wire::json(status, answer) };
    let mut response = wire::json(status, &WithIgnored { answer, ignored });
    response.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_static("handling=lenient"));
    response
}

/// A body with a code in place of the key.
pub(super) struct CodeBody {
    pub(super) code: String,
    ignored: Option<Vec<String>>,
}

impl CodeBody {
    /// Returns the answer to the call, with the ignored fields.
    pub(super) fn answer(&self, status: StatusCode, answer: &impl Serialize) -> Response {
        answer_to(self.ignored.as_deref(), status, answer)
    }
}

/// Reads a number of days. The plan limits it.
pub(super) fn days_or_null(field: &'static str, value: Value) -> Result<Option<u32>, Problem> {
    if value.is_null() { Ok(None) } else { whole(field, value, 1..=limits::PLAN_DAYS).map(Some) }
}

fn features(field: &'static str, value: Value) -> Result<Vec<String>, Problem> {
    match value {
        Value::Null => Ok(Vec::new()),
        value => list(field, value, (limits::FEATURES_PER_REQUEST, "features"), |_, text| Ok(text)),
    }
}

fn nonce(field: &'static str, value: Value) -> Result<Option<Nonce>, Problem> {
    let nonce = text_or_null(field, value)?.map(|text| Nonce::parse(&text)).transpose();
    nonce.map_err(|error| invalid(field, &error))
}

/// An answer to a call that prefers lenient handling.
#[derive(Serialize)]
struct WithIgnored<'a, T> {
    #[serde(flatten)]
    answer: &'a T,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ignored: &'a [String],
}

pub(super) async fn method_not_allowed(request: Request) -> Response {
    let refusal = async || Problem::from(Code::MethodNotAllowed).into_refusal();
    guard(request, Problem::into_refusal, |_| refusal()).await
}

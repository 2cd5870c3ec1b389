//! `POST /api/v1/validate`, the hot path.

use std::borrow::Cow;

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::catalog::{Features, Limit};
use license_core::license::{ActivationKind, License, Slots};
use license_core::service::ValidateRequest;
use license_core::validation::{DenialCode, Verdict};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::key_request::{self, RefusedKeyRequest};
use crate::client_ip::RequestOrigin;
use crate::extract::value::{text, text_or_null};
use crate::extract::{Fields, JsonBytes};
use crate::problem::{Code, Problem};
use crate::state::HttpState;
use crate::wire;

/// Denials of a validation.
pub(crate) const DENIALS: [DenialCode; 6] = [
    DenialCode::LicenseRevoked,
    DenialCode::LicenseSuspended,
    DenialCode::LicenseExpired,
    DenialCode::DomainLimitReached,
    DenialCode::DomainNotAllowed,
    DenialCode::DeviceLimitReached,
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValidateBody<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    #[serde(borrow, default)]
    domain: Option<Text<'a>>,
    #[serde(borrow, default)]
    fingerprint: Option<Text<'a>>,
    #[serde(borrow, default)]
    client: Option<Text<'a>>,
}

/// Borrows from the body even inside an `Option`, unlike a bare `Cow`.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Answer for a valid license. Its fields are the only ones of the API in camel case.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Valid))]
pub(crate) struct ValidAnswer<'a> {
    /// Always true: the software may run.
    valid: bool,
    /// Plan, expiry and features.
    license: ValidLicenseJson<'a>,
    /// Slots in use, including one that this call has taken.
    usage: SlotsUsed,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ValidLicense))]
pub(crate) struct ValidLicenseJson<'a> {
    /// Name of the plan.
    plan: &'a str,
    /// When the license expires; null if never.
    #[serde(rename = "expiresAt", serialize_with = "wire::time_or_null")]
    expires_at: Option<DateTime<Utc>>,
    /// Features of the plan by name.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    features: &'a Features,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct SlotsUsed {
    /// Domain slots.
    domains: SlotsJson,
    /// Device slots.
    devices: SlotsJson,
}

impl From<&License> for SlotsUsed {
    fn from(license: &License) -> Self {
        let of = |kind| {
            let Slots { used, limit } = license.slots(kind);
            SlotsJson { used, limit }
        };
        Self { domains: of(ActivationKind::Domain), devices: of(ActivationKind::Device) }
    }
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Slots))]
pub(crate) struct SlotsJson {
    /// Slots in use. Exceeds the limit if that was lowered later.
    used: u64,
    /// Maximum number of slots; null if unlimited.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    limit: Limit,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NotFound))]
pub(crate) struct NotFound {
    /// Always false: there is no such license.
    valid: bool,
    /// Always `LICENSE_NOT_FOUND`.
    error: &'static str,
}

impl NotFound {
    pub(super) fn new() -> Self {
        Self { valid: false, error: Code::LicenseNotFound.as_str() }
    }
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Denied))]
pub(crate) struct Denied {
    /// Always false: the software may not run.
    valid: bool,
    /// Code of the denial.
    error: &'static str,
    /// Explanation for people.
    message: String,
}

pub(super) async fn validate(State(state): State<HttpState>, request: Request) -> Response {
    let (origin, started) = (RequestOrigin::of(request.extensions()), Instant::now());
    let answer = answer(&state, request, &origin);
    let response = key_request::call(&state, origin.address, started, answer).await;
    state.validate_seconds.observe_duration(started.elapsed());
    response
}

async fn answer(
    state: &HttpState,
    request: Request,
    origin: &RequestOrigin,
) -> Result<Response, RefusedKeyRequest> {
    let location = state.geoip.location(request.headers(), origin);
    let JsonBytes(bytes) = JsonBytes::from_request(request, state).await?;
    // After the body is read: slow bodies must not take the places of complete ones.
    let _permit = state.limits.validations.acquire()?;
    let body = parse(&bytes)?;
    state.limits.check_key(&body.key.0)?;
    let request = ValidateRequest {
        key: &body.key.0,
        domain: body.domain.as_ref().map(|text| &*text.0),
        fingerprint: body.fingerprint.as_ref().map(|text| &*text.0),
        client: body.client.as_ref().map(|text| &*text.0),
        location: location.as_ref(),
    };
    Ok(match state.services.validation.validate(&request).await.map_err(Problem::from)? {
        Verdict::Valid(valid) => {
            let license = ValidLicenseJson {
                plan: valid.plan(),
                expires_at: valid.expires_at(),
                features: valid.features(),
            };
            let usage = SlotsUsed::from(valid.license());
            wire::json(StatusCode::OK, &ValidAnswer { valid: true, license, usage })
        }
        Verdict::NotFound => wire::json(StatusCode::NOT_FOUND, &NotFound::new()),
        Verdict::Denied(denial) => {
            let denied = Denied { valid: false, error: denial.code().as_str(), message: denial.to_string() };
            wire::json(StatusCode::OK, &denied)
        }
    })
}

fn parse(bytes: &[u8]) -> Result<ValidateBody<'_>, Problem> {
    // serde accepts a list for a struct too.
    let object = bytes.trim_ascii_start().starts_with(b"{");
    match serde_json::from_slice(bytes) {
        Ok(body) if object => Ok(body),
        _ => Err(explain(bytes)),
    }
}

/// Parses the body a second time to name its error.
#[cold]
fn explain(bytes: &[u8]) -> Problem {
    let find = || -> Result<(), Problem> {
        let mut fields = Fields::parse(bytes)?.only(&["key", "domain", "fingerprint", "client"])?;
        fields.require("key", text)?;
        for optional in ["domain", "fingerprint", "client"] {
            fields.take(optional, text_or_null)?;
        }
        Ok(())
    };
    let other = || Problem::new(Code::BadRequest, "The body cannot be read.");
    // This route has one code for all errors of a body.
    find().err().unwrap_or_else(other).with_code(Code::BadRequest)
}

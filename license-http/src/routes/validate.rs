//! `POST /api/v1/validate`, the hot path.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::catalog::{Features, Limit};
use license_core::license::{ActivationKind, License, Slots};
use license_core::service::ValidateRequest;
use license_core::validation::{DenialCode, Verdict};
use serde::Serialize;
use tokio::time::Instant;

use super::key_request::{self, KeyCall};
use crate::problem::{Code, Problem};
use crate::state::HttpState;

/// Denials of a validation.
pub(crate) const DENIALS: [DenialCode; 8] = [
    DenialCode::LicenseRevoked,
    DenialCode::LicenseSuspended,
    DenialCode::LicenseExpired,
    DenialCode::DomainLimitReached,
    DenialCode::DomainNotAllowed,
    DenialCode::DeviceLimitReached,
    DenialCode::DomainBlocked,
    DenialCode::DeviceBlocked,
];

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
    #[serde(rename = "expiresAt")]
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
    let started = Instant::now();
    let response = key_request::call(&state, request, answer).await;
    state.validate_seconds.observe_duration(started.elapsed());
    response
}

async fn answer(call: KeyCall<'_>, request: Request) -> Result<Response, Problem> {
    let location = call.state.geoip.location(request.headers(), request.extensions());
    let (body, _permit) = call.read(request, &["key", "domain", "fingerprint", "client"]).await?;
    call.check_key(&body)?;
    let request = ValidateRequest {
        key: &body.key,
        domain: body.domain.as_deref(),
        fingerprint: body.fingerprint.as_deref(),
        client: body.client.as_deref(),
        location: location.as_ref(),
    };
    Ok(match call.state.services.validation.validate(&request).await? {
        Verdict::Valid(valid) => {
            let license = ValidLicenseJson {
                plan: valid.plan(),
                expires_at: valid.expires_at(),
                features: valid.features(),
            };
            let usage = SlotsUsed::from(valid.license());
            body.answer(StatusCode::OK, &ValidAnswer { valid: true, license, usage })
        }
        Verdict::NotFound => body.answer(StatusCode::NOT_FOUND, &NotFound::new()),
        Verdict::Denied(denial) => {
            let denied = Denied { valid: false, error: denial.code().as_str(), message: denial.to_string() };
            body.answer(StatusCode::OK, &denied)
        }
    })
}

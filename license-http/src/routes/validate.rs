//! `POST /api/v1/validate`, the hot path.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::catalog::{Features, Limit};
use license_core::license::{ActivationKind, License, Slots};
use license_core::service::{Proof, ValidateRequest};
use license_core::signing::ProvenAnswer;
use license_core::validation::{Denial, DenialCode, DeniedLicense, Verdict};
use serde::Serialize;
use tokio::time::Instant;

use super::key_request::{self, KeyBody, KeyCall};
use crate::problem::{Code, Problem};
use crate::state::HttpState;

/// Denials of a validation.
pub(crate) const DENIALS: [DenialCode; 17] = [
    DenialCode::LicenseRevoked,
    DenialCode::LicenseSuspended,
    DenialCode::LicenseExpired,
    DenialCode::DomainLimitReached,
    DenialCode::DomainNotAllowed,
    DenialCode::DeviceLimitReached,
    DenialCode::VersionNotCovered,
    DenialCode::ProductMismatch,
    DenialCode::ProductRequired,
    DenialCode::DomainRequired,
    DenialCode::DeviceRequired,
    DenialCode::FeatureMissing,
    DenialCode::DomainNotActivated,
    DenialCode::DeviceNotActivated,
    DenialCode::DomainBlocked,
    DenialCode::DeviceBlocked,
    DenialCode::TrialUsed,
];

/// Fields of a request.
const FIELDS: [&str; 9] =
    ["key", "domain", "fingerprint", "client", "released_at", "product", "features", "activate", "nonce"];

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
    /// Always true: more slots are in use than the limit. Absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    over_limit: Option<bool>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ValidLicense))]
pub(crate) struct ValidLicenseJson<'a> {
    /// Name of the plan.
    plan: &'a str,
    /// When the license expires; null if never.
    #[serde(rename = "expiresAt")]
    expires_at: Option<DateTime<Utc>>,
    /// Features by name: those of the plan, and the grants that are in force.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    features: &'a Features,
    /// End of the updates window: versions that are released later are not covered. Absent if the plan has
    /// none.
    #[serde(rename = "updatesUntil", skip_serializing_if = "Option::is_none")]
    updates_until: Option<DateTime<Utc>>,
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
            SlotsJson { used, limit, held: None }
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
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    held: Option<HeldSlots>,
}

/// What leases hold of the slots of a full license.
#[derive(Serialize)]
struct HeldSlots {
    held: u64,
    next_free_at: Option<DateTime<Utc>>,
}

impl SlotsJson {
    fn with_held(self, denial: &Denial) -> Self {
        match denial {
            Denial::DeviceLimitReached { held, next_free_at, .. }
            | Denial::OfflineLimitReached { held, next_free_at, .. } => {
                Self { held: Some(HeldSlots { held: *held, next_free_at: *next_free_at }), ..self }
            }
            _ => self,
        }
    }
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
pub(crate) struct Denied<'a> {
    /// Always false: the software may not run.
    valid: bool,
    /// Code of the denial.
    error: &'static str,
    /// Explanation for people.
    message: String,
    /// Codes of all rules that deny, in the order of the rules; the first is `error`. Absent, as all further
    /// fields, if the software must not learn anything about the license.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<Vec<&'static str>>,
    /// Plan, product and expiry.
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<DeniedLicenseJson<'a>>,
    /// Slots in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<SlotsUsed>,
}

impl<'a> Denied<'a> {
    pub(super) fn new(denied: &'a DeniedLicense) -> Self {
        let license = denied.license();
        let codes = || denied.reasons().iter().map(|denial| denial.code().as_str()).collect();
        Self {
            valid: false,
            error: denied.code().as_str(),
            message: denied.to_string(),
            reasons: license.map(|_| codes()),
            license: license.map(|license| DeniedLicenseJson {
                plan: &license.plan,
                product: &license.product,
                expires_at: license.expires_at,
                updates_until: license.updates_until,
            }),
            usage: license.map(|license| {
                let SlotsUsed { domains, devices } = SlotsUsed::from(license);
                SlotsUsed { domains, devices: denied.reasons().iter().fold(devices, SlotsJson::with_held) }
            }),
        }
    }
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DeniedLicense))]
pub(crate) struct DeniedLicenseJson<'a> {
    /// Name of the plan.
    plan: &'a str,
    /// Name of the product.
    product: &'a str,
    /// When the license expires; null if never.
    #[serde(rename = "expiresAt")]
    expires_at: Option<DateTime<Utc>>,
    /// End of the updates window: versions that are released later are not covered. Absent if the plan has
    /// none.
    #[serde(rename = "updatesUntil", skip_serializing_if = "Option::is_none")]
    updates_until: Option<DateTime<Utc>>,
}

pub(super) async fn validate(State(state): State<HttpState>, request: Request) -> Response {
    let started = Instant::now();
    let response = key_request::call(&state, request, answer).await;
    state.validate_seconds.observe_duration(started.elapsed());
    response
}

async fn answer(call: KeyCall<'_>, request: Request) -> Result<Response, Problem> {
    let location = call.state.geoip.location(request.headers(), request.extensions());
    let (body, _permit) = call.read(request, &FIELDS).await?;
    if let Err(problem) = call.check_key(&body) {
        return Err(prove_malformed_key(call.state, &body, problem).await);
    }
    let request = ValidateRequest {
        key: &body.key,
        domain: body.domain.as_deref(),
        fingerprint: body.fingerprint.as_deref(),
        client: body.client.as_deref(),
        location: location.as_ref(),
        released_at: body.released_at,
        product: body.product.as_deref(),
        features: &body.features.iter().map(String::as_str).collect::<Vec<_>>(),
        activate: body.activate,
    };
    let verdict = call.state.services.validation.validate(&request).await?;
    let status = if matches!(verdict, Verdict::NotFound) { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let proof = prove(call.state, &body, ProvenAnswer::of(&verdict, status.as_u16())).await?;
    let proof = proof.as_ref();
    Ok(match &verdict {
        Verdict::Valid(valid) => {
            let license = ValidLicenseJson {
                plan: valid.plan(),
                expires_at: valid.expires_at(),
                features: valid.features(),
                updates_until: valid.updates_until(),
            };
            let usage = SlotsUsed::from(valid.license());
            let over_limit = valid.is_over_limit().then_some(true);
            let answer = ValidAnswer { valid: true, license, usage, over_limit };
            with_proof(&body, status, &answer, proof)
        }
        Verdict::NotFound => with_proof(&body, status, &NotFound::new(), proof),
        Verdict::Denied(denied) => with_proof(&body, status, &Denied::new(denied), proof),
    })
}

/// Signs the answer if the request has a nonce.
async fn prove(
    state: &HttpState,
    body: &KeyBody,
    answer: ProvenAnswer<'_>,
) -> Result<Option<Proof>, Problem> {
    let Some(request) = &body.proof else { return Ok(None) };
    // Boxed, so that validations without a nonce keep a small future.
    let proof = Box::pin(state.services.signing.prove(request, body.product.as_deref(), &answer));
    Ok(Some(proof.await?))
}

/// Adds a proof that the key is malformed. Other problems say nothing about the license, so they get none.
async fn prove_malformed_key(state: &HttpState, body: &KeyBody, problem: Problem) -> Problem {
    if problem.code != Code::LicenseKeyMalformed.as_str() {
        return problem;
    }
    let answer = ProvenAnswer::without_license(problem.code, problem.status.as_u16());
    match prove(state, body, answer).await {
        Ok(Some(proof)) => problem.with_proof(proof),
        Ok(None) => problem,
        Err(unavailable) => unavailable,
    }
}

fn with_proof(
    body: &KeyBody,
    status: StatusCode,
    answer: &impl Serialize,
    proof: Option<&Proof>,
) -> Response {
    match proof {
        None => body.answer(status, answer),
        Some(proof) => body.answer(status, &WithProof { answer, proof }),
    }
}

/// An answer to a request with a nonce.
#[derive(Serialize)]
struct WithProof<'a, T> {
    #[serde(flatten)]
    answer: &'a T,
    #[serde(flatten)]
    proof: &'a Proof,
}

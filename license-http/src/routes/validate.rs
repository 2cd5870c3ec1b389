//! `POST /api/v1/validate`: the hot path.

use std::borrow::Cow;

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::activation::ActivationKind;
use license_core::license::{License, Slots};
use license_core::plan::{Features, Limit};
use license_core::service::ValidateRequest;
use license_core::verdict::Verdict;
use serde::{Deserialize, Serialize};

use super::keyed::{self, Refusal};
use crate::client::Origin;
use crate::extract::{Fields, JsonBytes};
use crate::problem::{Code, Problem};
use crate::request_log;
use crate::state::HttpState;
use crate::wire::{self, requests};

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

/// Borrows from the body, also inside an `Option`, which serde does not do for a bare `Cow`.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The answer to a validation that may run. These names are the one place of the API in camel case.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Valid))]
pub(super) struct ValidAnswer<'a> {
    /// It may run.
    valid: bool,
    /// What it may.
    license: ValidLicense<'a>,
    /// How much of its limits is in use, with what this call has taken.
    usage: SlotsUsed,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ValidLicense))]
pub(super) struct ValidLicense<'a> {
    /// The plan's name.
    plan: &'a str,
    /// When its term ends; null: never.
    #[serde(rename = "expiresAt", serialize_with = "wire::time_or_null")]
    expires_at: Option<DateTime<Utc>>,
    /// What the plan has, by name.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    features: &'a Features,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct SlotsUsed {
    /// Of domains.
    domains: SlotsJson,
    /// Of devices.
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
pub(super) struct SlotsJson {
    /// In use; more than the limit where that was lowered since.
    used: u64,
    /// How many there are; null: unlimited.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    limit: Limit,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NotFound))]
pub(super) struct NotFound {
    /// There is no such license.
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
pub(super) struct Denied {
    /// It may not run.
    valid: bool,
    /// Why not.
    error: &'static str,
    /// A sentence for a person.
    message: String,
}

pub(super) async fn validate(State(state): State<HttpState>, request: Request) -> Response {
    let (origin, started) = (Origin::of(request.extensions()), request_log::now());
    let response = keyed::call(&state, origin.address, started, answer(&state, request, &origin)).await;
    state.validate_seconds.observe_duration(started.elapsed());
    response
}

async fn answer(state: &HttpState, request: Request, origin: &Origin) -> Result<Response, Refusal> {
    let place = state.geography.place(request.headers(), origin);
    let JsonBytes(bytes) = JsonBytes::from_request(request, state).await?;
    // Not before: bodies that trickle would take the places of those that are here.
    let _permit = state.edge.validations.enter()?;
    let body = parse(&bytes)?;
    state.edge.admit_key(&body.key.0)?;
    let request = ValidateRequest {
        key: &body.key.0,
        domain: body.domain.as_ref().map(|text| &*text.0),
        fingerprint: body.fingerprint.as_ref().map(|text| &*text.0),
        client: body.client.as_ref().map(|text| &*text.0),
        place: place.as_ref(),
    };
    Ok(match state.service.validate(&request).await.map_err(Problem::from)? {
        Verdict::Valid(valid) => {
            let license = ValidLicense {
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
    // serde takes a list for a struct too.
    let object = bytes.trim_ascii_start().starts_with(b"{");
    match serde_json::from_slice(bytes) {
        Ok(body) if object => Ok(body),
        _ => Err(explain(bytes)),
    }
}

/// Reads the body a second time, slowly, to tell what is wrong with it.
#[cold]
fn explain(bytes: &[u8]) -> Problem {
    let nullable = |field: &'static str, value: serde_json::Value| {
        if value.is_null() { Ok(()) } else { requests::text(field, value).map(drop) }
    };
    let found = || -> Result<(), Problem> {
        let mut fields = Fields::parse(bytes)?.only(&["key", "domain", "fingerprint", "client"])?;
        fields.require("key", requests::text)?;
        fields.take("domain", nullable)?;
        fields.take("fingerprint", nullable)?;
        fields.take("client", nullable)?;
        Ok(())
    };
    let other = || Problem::new(Code::BadRequest, "The body can't be read.");
    // This route has one code for whatever is wrong with a body.
    found().err().unwrap_or_else(other).said_as(Code::BadRequest)
}

//! `POST /api/v1/deactivate`: a customer releases a slot with the license key.

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use license_core::access::{Actor, Who};
use license_core::service::{Deactivated, SlotHolder};
use serde::Serialize;
use tokio::time::Instant;

use super::key_request::{self, RefusedKeyRequest};
use super::validate::{NotFound, SlotsUsed};
use crate::auth;
use crate::client_ip::RequestOrigin;
use crate::extract::value::{text, text_or_null};
use crate::extract::{Fields, JsonBytes};
use crate::problem::{Code, Problem};
use crate::state::HttpState;
use crate::wire;

/// The slot was released.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Released {
    /// Always true: this call released the slot.
    released: bool,
    /// Slots in use after the release.
    usage: SlotsUsed,
}

/// No slot was released.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct NotReleased {
    /// Always false: nothing was changed.
    released: bool,
    /// Stable error code.
    error: &'static str,
    /// Explanation for people.
    message: String,
}

pub(super) async fn deactivate(State(state): State<HttpState>, request: Request) -> Response {
    let address = RequestOrigin::of(request.extensions()).address;
    key_request::call(&state, address, Instant::now(), answer(&state, request)).await
}

async fn answer(state: &HttpState, request: Request) -> Result<Response, RefusedKeyRequest> {
    let request_id = auth::request_id(request.extensions(), request.headers());
    let JsonBytes(bytes) = JsonBytes::from_request(request, state).await?;
    let _permit = state.limits.validations.acquire()?;
    let (key, holder) = parse(&bytes).map_err(|problem| problem.with_code(Code::BadRequest))?;
    state.limits.check_key(&key)?;
    let holder = match &holder {
        OwnedSlotHolder::Domain(text) => SlotHolder::Domain(text),
        OwnedSlotHolder::Device(text) => SlotHolder::Device(text),
    };
    let actor = Actor { request_id, ..Actor::new(Who::Customer) };
    Ok(match state.services.validation.deactivate(&key, holder, actor).await.map_err(Problem::from)? {
        Deactivated::Released(license) => {
            let usage = SlotsUsed::from(&*license);
            wire::json(StatusCode::OK, &Released { released: true, usage })
        }
        Deactivated::NotFound => wire::json(StatusCode::NOT_FOUND, &NotFound::new()),
        Deactivated::Denied(denial) => {
            let (error, message) = (denial.code().as_str(), denial.to_string());
            wire::json(StatusCode::OK, &NotReleased { released: false, error, message })
        }
    })
}

enum OwnedSlotHolder {
    Domain(String),
    Device(String),
}

fn parse(bytes: &[u8]) -> Result<(String, OwnedSlotHolder), Problem> {
    let mut fields = Fields::parse(bytes)?.only(&["key", "domain", "fingerprint"])?;
    let key = fields.require("key", text)?;
    let domain = fields.take("domain", text_or_null)?.flatten();
    let fingerprint = fields.take("fingerprint", text_or_null)?.flatten();
    match (domain, fingerprint) {
        (Some(domain), None) => Ok((key, OwnedSlotHolder::Domain(domain))),
        (None, Some(fingerprint)) => Ok((key, OwnedSlotHolder::Device(fingerprint))),
        (None, None) => {
            Err(Problem::invalid_field("domain", "Send either domain or fingerprint to name the slot."))
        }
        (Some(_), Some(_)) => Err(Problem::invalid_field(
            "fingerprint",
            "Send only one of domain and fingerprint: a call releases one slot.",
        )),
    }
}

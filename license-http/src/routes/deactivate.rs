//! `POST /api/v1/deactivate`: a customer releases a slot with the license key.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use license_core::access::{Actor, Principal};
use license_core::service::{Deactivated, SlotHolder};
use serde::Serialize;

use super::key_request::{self, KeyBody};
use super::validate::{NotFound, SlotsUsed};
use crate::auth;
use crate::extract::read_json;
use crate::problem::Problem;
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
    key_request::call(&state, request, async |request| answer(&state, request).await).await
}

async fn answer(state: &HttpState, request: Request) -> Result<Response, Problem> {
    let request_id = auth::request_id(request.extensions(), request.headers());
    let bytes = read_json(request, state).await?;
    let _permit = state.limits.validations.acquire()?;
    let body = KeyBody::parse(&bytes, &["key", "domain", "fingerprint"])?;
    let holder = match (&body.domain, &body.fingerprint) {
        (Some(domain), None) => SlotHolder::Domain(domain),
        (None, Some(fingerprint)) => SlotHolder::Device(fingerprint),
        (None, None) => {
            let detail = "Send either domain or fingerprint to name the slot.";
            return Err(Problem::bad_request("domain", detail));
        }
        (Some(_), Some(_)) => {
            let detail = "Send only one of domain and fingerprint: a call releases one slot.";
            return Err(Problem::bad_request("fingerprint", detail));
        }
    };
    state.limits.check_key(&body.key)?;
    let actor = Actor { request_id, ..Actor::new(Principal::Customer) };
    Ok(match state.services.validation.deactivate(&body.key, holder, actor).await? {
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

//! `POST /api/v1/deactivate`: a customer releases a slot with the license key.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use license_core::access::{Actor, Principal};
use license_core::service::{Deactivated, SlotHolder};
use serde::Serialize;

use super::key_request::{self, KeyCall};
use super::validate::{NotFound, SlotsUsed};
use crate::auth;
use crate::problem::Problem;
use crate::state::HttpState;

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
    key_request::call(&state, request, answer).await
}

async fn answer(call: KeyCall<'_>, request: Request) -> Result<Response, Problem> {
    let request_id = auth::request_id(request.extensions(), request.headers());
    let (body, _permit) = call.read(request, &["key", "domain", "fingerprint", "activation_id"]).await?;
    let holder = match (&body.domain, &body.fingerprint, &body.activation_id) {
        (Some(domain), None, None) => SlotHolder::Domain(domain),
        (None, Some(fingerprint), None) => SlotHolder::Device(fingerprint),
        (None, None, Some(id)) => SlotHolder::Activation(id),
        (None, None, None) => {
            let detail = "Send domain, fingerprint or activation_id to name the slot.";
            return Err(Problem::bad_request("domain", detail));
        }
        (_, _, id) => {
            let field = if id.is_some() { "activation_id" } else { "fingerprint" };
            let detail = "Send only one of domain, fingerprint and activation_id: a call releases one slot.";
            return Err(Problem::bad_request(field, detail));
        }
    };
    call.check_key(&body)?;
    let actor = Actor { request_id, ..Actor::new(Principal::Customer) };
    Ok(match call.state.services.validation.deactivate(&body.key, holder, actor).await? {
        Deactivated::Released(license) => {
            let usage = SlotsUsed::from(&*license);
            body.answer(StatusCode::OK, &Released { released: true, usage })
        }
        Deactivated::NotFound => body.answer(StatusCode::NOT_FOUND, &NotFound::new()),
        Deactivated::Denied(denial) => {
            let (error, message) = (denial.code().as_str(), denial.to_string());
            body.answer(StatusCode::OK, &NotReleased { released: false, error, message })
        }
    })
}

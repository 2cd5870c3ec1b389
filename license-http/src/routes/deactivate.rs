//! `POST /api/v1/deactivate`: a customer's own release of a slot.

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use license_core::audit::{Actor, Who};
use license_core::service::{DeactivateRequest, Deactivated, HeldBy};
use serde::Serialize;
use serde_json::Value;

use super::keyed::{self, Refusal};
use super::validate::{NotFound, SlotsUsed};
use crate::auth;
use crate::client::Origin;
use crate::extract::{Fields, JsonBytes};
use crate::problem::{Code, Problem};
use crate::request_log;
use crate::state::HttpState;
use crate::wire::{self, requests};

/// The slot is free.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Released {
    /// This call has freed it.
    released: bool,
    /// How much of its limits the license uses now.
    usage: SlotsUsed,
}

/// Nothing was freed.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct NotReleased {
    /// All is as it was.
    released: bool,
    /// Why.
    error: &'static str,
    /// A sentence for a person.
    message: String,
}

pub(super) async fn deactivate(State(state): State<HttpState>, request: Request) -> Response {
    let address = Origin::of(request.extensions()).address;
    keyed::call(&state, address, request_log::now(), answer(&state, request)).await
}

async fn answer(state: &HttpState, request: Request) -> Result<Response, Refusal> {
    let request_id = auth::request_id(request.extensions(), request.headers());
    let JsonBytes(bytes) = JsonBytes::from_request(request, state).await?;
    let _permit = state.edge.validations.enter()?;
    let (key, held) = parse(&bytes).map_err(|problem| problem.said_as(Code::BadRequest))?;
    state.edge.admit_key(&key)?;
    let held = match &held {
        Held::Domain(text) => HeldBy::Domain(text),
        Held::Device(text) => HeldBy::Device(text),
    };
    let actor = Actor { request_id, ..Actor::new(Who::Customer) };
    let request = DeactivateRequest { key: &key, held };
    Ok(match state.service.deactivate(&request, actor).await.map_err(Problem::from)? {
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

enum Held {
    Domain(String),
    Device(String),
}

fn parse(bytes: &[u8]) -> Result<(String, Held), Problem> {
    let nullable = |field: &'static str, value: Value| {
        if value.is_null() { Ok(None) } else { requests::text(field, value).map(Some) }
    };
    let mut fields = Fields::parse(bytes)?.only(&["key", "domain", "fingerprint"])?;
    let key = fields.require("key", requests::text)?;
    let domain = fields.take("domain", nullable)?.flatten();
    let fingerprint = fields.take("fingerprint", nullable)?.flatten();
    match (domain, fingerprint) {
        (Some(domain), None) => Ok((key, Held::Domain(domain))),
        (None, Some(fingerprint)) => Ok((key, Held::Device(fingerprint))),
        (None, None) => Err(Problem::invalid_field(
            "domain",
            "Either domain or fingerprint must say what holds the slot.",
        )),
        (Some(_), Some(_)) => Err(Problem::invalid_field(
            "fingerprint",
            "One call frees one slot: leave out domain or fingerprint.",
        )),
    }
}

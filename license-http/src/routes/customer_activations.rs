//! `POST /api/v1/activations/list`: a customer lists the activations of a license with its key.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use license_core::license::Label;
use license_core::service::{CustomerActivation, CustomerActivations, ListRequest};
use license_core::usage::Day;
use serde::Serialize;

use super::key_request::{self, KeyCall};
use super::validate::NotFound;
use crate::problem::Problem;
use crate::state::HttpState;

/// The activations of the license.
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Listed {
    /// Always true: `data` has the activations.
    listed: bool,
    /// The activations, oldest first, at most 500.
    data: Vec<OwnActivation>,
    /// Whether the license has more activations.
    has_more: bool,
}

/// An activation as the customer sees it.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct OwnActivation {
    /// Id of the activation, for `/deactivate`.
    id: String,
    /// What holds the slot.
    kind: &'static str,
    /// The label that the vendor gave; null if it has none.
    label: Option<String>,
    /// Domain name, or device fingerprint. Of a device other than the caller's, at most the first four
    /// characters.
    name: String,
    /// Whether the domain or fingerprint of the request holds this slot.
    current: bool,
    /// Day of the first valid answer; null if there is none.
    first_seen_on: Option<String>,
    /// Day of the latest valid answer; null if there is none.
    last_seen_on: Option<String>,
}

/// Nothing was listed.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct NotListed {
    /// Always false.
    listed: bool,
    /// Stable error code.
    error: &'static str,
    /// Explanation for people.
    message: String,
}

impl From<CustomerActivation> for OwnActivation {
    fn from(activation: CustomerActivation) -> Self {
        let CustomerActivation { id, kind, label, name, is_current, first_seen_on, last_seen_on } =
            activation;
        Self {
            id: id.as_str().to_owned(),
            kind: kind.as_str(),
            label: label.as_ref().map(Label::as_str).map(str::to_owned),
            name,
            current: is_current,
            first_seen_on: first_seen_on.as_ref().map(Day::to_string),
            last_seen_on: last_seen_on.as_ref().map(Day::to_string),
        }
    }
}

pub(super) async fn list(State(state): State<HttpState>, request: Request) -> Response {
    key_request::call(&state, request, answer).await
}

async fn answer(call: KeyCall<'_>, request: Request) -> Result<Response, Problem> {
    let (body, _permit) = call.read(request, &["key", "domain", "fingerprint"]).await?;
    call.check_key(&body)?;
    let (domain, fingerprint) = (body.domain.as_deref(), body.fingerprint.as_deref());
    let request = ListRequest { key: &body.key, domain, fingerprint };
    Ok(match call.state.services.activations.list_for_customer(&request).await? {
        CustomerActivations::Found { activations, has_more } => {
            let data = activations.into_iter().map(OwnActivation::from).collect();
            body.answer(StatusCode::OK, &Listed { listed: true, data, has_more })
        }
        CustomerActivations::NotFound => body.answer(StatusCode::NOT_FOUND, &NotFound::new()),
        CustomerActivations::Denied(denial) => {
            let (error, message) = (denial.code().as_str(), denial.to_string());
            body.answer(StatusCode::OK, &NotListed { listed: false, error, message })
        }
    })
}

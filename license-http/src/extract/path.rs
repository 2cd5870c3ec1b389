//! The ids in a path. A text that is no id names nothing, so it is not found.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use license_core::activation::ActivationId;
use license_core::customer::CustomerEmail;
#[cfg(feature = "webhooks")]
use license_core::endpoint::EndpointId;
#[cfg(feature = "webhooks")]
use license_core::event::EventId;
use license_core::license::LicenseId;
use license_core::token::TokenId;

use crate::problem::Problem;

/// `{id}`.
#[derive(Debug)]
pub(crate) struct LicensePath(pub(crate) LicenseId);

impl<S: Sync> FromRequestParts<S> for LicensePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = param(parts, "id").await;
        text.and_then(|text| LicenseId::parse(&text).ok()).map(Self).ok_or_else(Problem::license_not_found)
    }
}

/// `{activation_id}`.
#[derive(Debug)]
pub(crate) struct ActivationPath(pub(crate) ActivationId);

impl<S: Sync> FromRequestParts<S> for ActivationPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = param(parts, "activation_id").await;
        text.and_then(|text| ActivationId::parse(&text).ok())
            .map(Self)
            .ok_or_else(Problem::activation_not_found)
    }
}

/// `{token_id}`.
#[derive(Debug)]
pub(crate) struct TokenPath(pub(crate) TokenId);

impl<S: Sync> FromRequestParts<S> for TokenPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = param(parts, "token_id").await;
        text.and_then(|text| TokenId::parse(&text)).map(Self).ok_or_else(Problem::token_not_found)
    }
}

/// `{email}`. Not an id that may exist or not: what is no address is an error of the caller.
#[derive(Debug)]
pub(crate) struct CustomerPath(pub(crate) CustomerEmail);

impl<S: Sync> FromRequestParts<S> for CustomerPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = param(parts, "email").await;
        let email = text.and_then(|text| CustomerEmail::parse(&text).ok());
        let detail = "This must be an e-mail address, percent-encoded.";
        email.map(Self).ok_or_else(|| Problem::bad_request("email", detail))
    }
}

/// `{id}` of an endpoint of webhooks.
#[cfg(feature = "webhooks")]
#[derive(Debug)]
pub(crate) struct EndpointPath(pub(crate) EndpointId);

#[cfg(feature = "webhooks")]
impl<S: Sync> FromRequestParts<S> for EndpointPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = param(parts, "id").await;
        text.and_then(|text| EndpointId::parse(&text).ok()).map(Self).ok_or_else(Problem::endpoint_not_found)
    }
}

/// `{delivery_id}`: the id of the event that is delivered.
#[cfg(feature = "webhooks")]
#[derive(Debug)]
pub(crate) struct DeliveryPath(pub(crate) EventId);

#[cfg(feature = "webhooks")]
impl<S: Sync> FromRequestParts<S> for DeliveryPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = param(parts, "delivery_id").await;
        text.and_then(|text| EventId::parse(&text).ok()).map(Self).ok_or_else(Problem::delivery_not_found)
    }
}

/// The last of that name: one before it is of the prefix that a host app mounted us under.
async fn param(parts: &mut Parts, name: &str) -> Option<String> {
    // Fails where a parameter is no UTF-8 after percent-decoding.
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    params.iter().filter(|(key, _)| *key == name).last().map(|(_, value)| value.to_owned())
}

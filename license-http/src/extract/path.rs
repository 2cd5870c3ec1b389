//! Ids in the path. A malformed id names nothing, so the answer is 404.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use license_core::access::TokenId;
use license_core::bulk::BulkJobId;
#[cfg(feature = "webhooks")]
use license_core::event::EventId;
use license_core::license::{ActivationId, BlockId, CustomerEmail, LicenseId};
use license_core::signing::SigningKeyId;
#[cfg(feature = "webhooks")]
use license_core::webhook::EndpointId;

use crate::problem::{Code, Problem};

/// Defines extractors of one path parameter, each with its parser and the problem of a malformed value.
macro_rules! path_extractors {
    ($($(#[$attribute:meta])* $name:ident($id:ty), $parameter:literal, $parse:expr, $problem:expr;)+) => {$(
        $(#[$attribute])*
        #[derive(Debug)]
        pub(crate) struct $name(pub(crate) $id);

        $(#[$attribute])*
        impl<S: Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                let text = parameter(parts, $parameter).await;
                text.and_then(|text| $parse(&text).ok()).map(Self).ok_or_else(|| $problem.into())
            }
        }
    )+};
}

path_extractors! {
    LicensePath(LicenseId), "id", LicenseId::parse, Code::LicenseNotFound;
    ActivationPath(ActivationId), "activation_id", ActivationId::parse, Code::ActivationNotFound;
    BlockPath(BlockId), "block_id", BlockId::parse, Code::BlockNotFound;
    TokenPath(TokenId), "token_id", TokenId::parse, Code::TokenNotFound;
    NamePath(String), "name", |name: &str| Ok::<_, Infallible>(name.to_owned()), Code::RouteNotFound;
    SigningKeyPath(SigningKeyId), "key_id", SigningKeyId::parse, Code::SigningKeyNotFound;
    JobPath(BulkJobId), "job_id", BulkJobId::parse, Code::JobNotFound;
    CustomerPath(CustomerEmail), "email", CustomerEmail::parse,
        Problem::bad_request("email", "This must be a percent-encoded e-mail address.");
    #[cfg(feature = "webhooks")]
    EndpointPath(EndpointId), "id", EndpointId::parse, Code::EndpointNotFound;
    #[cfg(feature = "webhooks")]
    DeliveryPath(EventId), "delivery_id", EventId::parse, Code::DeliveryNotFound;
}

/// Returns the last parameter of that name. An earlier one belongs to the prefix of a host app.
async fn parameter(parts: &mut Parts, name: &str) -> Option<String> {
    // Fails if a parameter is not UTF-8 after percent-decoding.
    let parameters = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    parameters.iter().filter(|(key, _)| *key == name).last().map(|(_, value)| value.to_owned())
}

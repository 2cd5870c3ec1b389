//! Claims of a signed verdict.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{ProofRequest, ProvenAnswer};
use crate::catalog::{DEFAULT_PRODUCT, Features, Plan, is_name};
use crate::license::License;
use crate::limits;

/// Time after which software must ask again.
const LIFETIME: TimeDelta = TimeDelta::hours(24);

/// The claims of a signed verdict. All times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictClaims {
    /// The issuer.
    pub iss: String,
    /// The product that the request names; without one, that of the license in the answer, or `default`.
    pub aud: String,
    /// The nonce of the request.
    pub nonce: String,
    /// Base64url of SHA-256 over the bytes of the request body.
    pub req: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// Whether the software may run.
    pub valid: bool,
    /// The code of the denial; null if the verdict is valid.
    pub error: Option<String>,
    /// The features of the license; empty if the verdict is not valid.
    pub features: Features,
    /// The product of the license in the answer.
    pub product: Option<String>,
    /// The end of the license, its grace included; null if it has none.
    pub lic_exp: Option<i64>,
    /// The time of the answer.
    pub iat: i64,
    /// The time from which the software asks again.
    pub exp: i64,
}

impl VerdictClaims {
    /// Creates the claims of the answer to a request. `product` is the one that the request names, and `plan` the
    /// plan version of the license.
    #[must_use]
    pub fn new(
        issuer: &str,
        request: &ProofRequest,
        product: Option<&str>,
        answer: &ProvenAnswer<'_>,
        plan: Option<&Plan>,
    ) -> Self {
        // With a malformed key, the product was not checked.
        let product = product.filter(|name| is_name(name));
        let of_license = answer.license.map(|license| &*license.product);
        Self {
            iss: issuer.to_owned(),
            aud: product.or(of_license).unwrap_or(DEFAULT_PRODUCT).to_owned(),
            nonce: request.nonce.as_str().to_owned(),
            req: URL_SAFE_NO_PAD.encode(request.body_digest),
            status: answer.status,
            valid: answer.error.is_none(),
            error: answer.error.map(str::to_owned),
            features: answer.features.cloned().unwrap_or_default(),
            product: of_license.map(str::to_owned),
            lic_exp: answer.license.and_then(|license| end_of_license(license, plan)),
            iat: request.received_at.timestamp(),
            exp: (request.received_at + LIFETIME).timestamp(),
        }
    }
}

/// Returns the end of a license in Unix seconds, the grace of its plan included; `None` if it has none.
#[must_use]
pub fn end_of_license(license: &License, plan: Option<&Plan>) -> Option<i64> {
    let grace = plan.map_or(TimeDelta::zero(), Plan::grace);
    let end = license.expires_at?.checked_add_signed(grace);
    Some(end.map_or(limits::TOKEN_LAST_SECOND, |end| end.timestamp().clamp(0, limits::TOKEN_LAST_SECOND)))
}

//! Claims of a list of revoked leases.

use serde::{Deserialize, Serialize};

/// The claims of a list of revoked leases. Of two lists, the one with the higher `iat` counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationClaims {
    /// The issuer.
    pub iss: String,
    /// The product.
    pub aud: String,
    /// The time of the list, in Unix seconds.
    pub iat: i64,
    /// The ids (`jti`) of leases that have not ended, and that no software accepts.
    pub revoked: Vec<String>,
}

impl RevocationClaims {
    /// Creates the claims.
    #[must_use]
    pub fn new(issuer: &str, product: &str, revoked: Vec<String>, iat: i64) -> Self {
        Self { iss: issuer.to_owned(), aud: product.to_owned(), iat, revoked }
    }
}

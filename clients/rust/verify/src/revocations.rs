//! Lists of revoked leases.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::key_set::KeySet;
use crate::time::seconds;
use crate::token::{self, TokenType};

/// The claims of a verified list: all leases of one product that have not ended, and that were revoked or belong to
/// licenses that are suspended or revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Revocations {
    /// The time of the list, in Unix seconds. Of two lists, the one with the higher time counts.
    #[serde(deserialize_with = "seconds")]
    pub iat: i64,
    /// The ids of the leases.
    pub revoked: BTreeSet<String>,
}

impl Revocations {
    /// Verifies a list of this product.
    ///
    /// # Errors
    /// Returns the first reason why the list is not accepted.
    pub fn verify(token: &str, keys: &KeySet, product: &str) -> Result<Self, Error> {
        token::verify(token, TokenType::Revocations, keys, product)
    }
}

//! Claims of a key token.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{PublicKey, SigningKeyId};
use crate::limits;

/// Time for which software learns from a key token. A replaced key is retiring for at least as long, so that software
/// that was offline for this time can learn the key after it.
pub const KEY_TOKEN_LIFETIME: TimeDelta = TimeDelta::days(30);

/// The claims of a key token, from which software that trusts its signer learns. All times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyTokenClaims {
    /// The issuer.
    pub iss: String,
    /// The product.
    pub aud: String,
    /// The time of the issue.
    pub iat: i64,
    /// The time after which no software learns from the token.
    pub exp: i64,
    /// All keys that software must know, as JSON Web Keys.
    pub keys: Vec<Value>,
    /// The ids of all keys that were ever revoked.
    pub revoked: Vec<String>,
}

impl KeyTokenClaims {
    /// Creates the claims. If there are more keys than software reads, the first ones are left out.
    #[must_use]
    pub fn new<'a>(
        issuer: &str,
        product: &str,
        keys: impl IntoIterator<Item = PublicKey>,
        revoked: impl IntoIterator<Item = &'a SigningKeyId>,
        now: DateTime<Utc>,
    ) -> Self {
        let keys = keys.into_iter().map(|key| key.to_jwk()).collect();
        let revoked = revoked.into_iter().map(|id| id.as_str().to_owned()).collect();
        Self {
            iss: issuer.to_owned(),
            aud: product.to_owned(),
            iat: now.timestamp(),
            exp: (now + KEY_TOKEN_LIFETIME).timestamp(),
            keys: last(keys, limits::KEY_TOKEN_KEYS),
            revoked: last(revoked, limits::KEY_TOKEN_REVOKED),
        }
    }
}

fn last<T>(mut items: Vec<T>, count: usize) -> Vec<T> {
    items.split_off(items.len().saturating_sub(count))
}

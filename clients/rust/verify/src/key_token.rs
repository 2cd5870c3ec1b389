//! Key tokens: how software learns new public keys.

use serde::Deserialize;
use serde_json::Value;

use crate::error::Error;
use crate::key_set::KeySet;
use crate::limits;
use crate::public_key::PublicKey;
use crate::time::{MAX_BEHIND, TOLERANCE, seconds};
use crate::token::{self, TokenType};

/// The claims of a verified key token: keys to trust, and keys that were revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyToken {
    /// The time of the issue, in Unix seconds.
    pub iat: i64,
    /// The time after which no software learns from the token, in Unix seconds.
    pub exp: i64,
    /// All keys of the server that are in use or will be.
    pub keys: Vec<PublicKey>,
    /// The ids of all keys that were revoked.
    pub revoked: Vec<String>,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(deserialize_with = "seconds")]
    iat: i64,
    #[serde(deserialize_with = "seconds")]
    exp: i64,
    keys: Vec<Value>,
    revoked: Vec<String>,
}

impl KeyToken {
    /// Verifies a key token by a key that is trusted already, at `now` in Unix seconds.
    ///
    /// # Errors
    /// Returns the first reason why the token is not accepted; [`Error::UnknownKey`] if it is signed by a key that it
    /// introduces itself.
    pub fn verify(token: &str, keys: &KeySet, product: &str, now: i64) -> Result<Self, Error> {
        let token = Self::read(token, keys, product)?;
        if now > token.exp.saturating_add(TOLERANCE) {
            return Err(Error::TokenExpired { at: token.exp });
        }
        if token.iat > now.saturating_add(MAX_BEHIND) {
            return Err(Error::ClockRolledBack { behind: token.iat.saturating_sub(now) });
        }
        Ok(token)
    }

    /// Adds the keys of the token to a set, and drops those that it revokes.
    pub fn teach(&self, keys: &mut KeySet) {
        keys.learn(&self.keys, &self.revoked);
    }

    /// Verifies all but the times: a token that was accepted once stays in the state.
    pub(crate) fn read(token: &str, keys: &KeySet, product: &str) -> Result<Self, Error> {
        let Claims { iat, exp, keys, revoked } = token::verify(token, TokenType::Keys, keys, product)?;
        if keys.len() > limits::TOKEN_KEYS || revoked.len() > limits::TOKEN_REVOKED_KEYS {
            return Err(Error::ClaimsMalformed("there are too many keys"));
        }
        let keys = keys.into_iter().map(PublicKey::from_value).collect::<Result<_, _>>()?;
        Ok(Self { iat, exp, keys, revoked })
    }
}

//! A signing key and its state.

use chrono::{DateTime, Utc};

use super::{PublicKey, SigningKeyId};
use crate::key::SealedSecret;
use crate::text_enum::text_enum;

text_enum! {
    /// The state of a signing key.
    SigningKeyState {
        /// Published, and the next one to sign.
        Next = "next",
        /// Signs tokens.
        Active = "active",
        /// Signs no more. Tokens that it signed are still in use.
        Retiring = "retiring",
        /// All tokens that it signed have ended.
        Retired = "retired",
        /// No token that it signed is valid.
        Revoked = "revoked",
    }
}

/// A signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// The thumbprint of the public key.
    pub id: SigningKeyId,
    /// The public key.
    pub public: PublicKey,
    /// The private key, sealed for this id.
    pub sealed: SealedSecret,
    /// The state.
    pub state: SigningKeyState,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// The time at which it became active.
    pub activated_at: Option<DateTime<Utc>>,
    /// The time at which it was replaced or revoked.
    pub replaced_at: Option<DateTime<Utc>>,
    /// No token that it signed is valid after this time; `None` if it signed none.
    pub signed_until: Option<DateTime<Utc>>,
}

impl SigningKey {
    /// Returns whether software must know the key.
    #[must_use]
    pub fn is_published(&self) -> bool {
        match self.state {
            SigningKeyState::Next | SigningKeyState::Active | SigningKeyState::Retiring => true,
            SigningKeyState::Retired | SigningKeyState::Revoked => false,
        }
    }

    /// Returns whether tokens that it signed can still be valid at `now`.
    #[must_use]
    pub fn has_tokens(&self, now: DateTime<Utc>) -> bool {
        self.signed_until.is_some_and(|until| until > now)
    }
}

//! All signing keys of a database.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{SigningKey, SigningKeyId, SigningKeyState};

/// All signing keys of a database, in the order of creation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigningKeySet {
    revision: u64,
    keys: Vec<SigningKey>,
}

impl SigningKeySet {
    /// Combines stored keys.
    #[must_use]
    pub fn from_stored(revision: u64, mut keys: Vec<SigningKey>) -> Self {
        keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Self { revision, keys }
    }

    /// Returns the revision, which increases with every change. A new database has revision 0.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns the keys, oldest first.
    #[must_use]
    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// Returns the key with this id.
    #[must_use]
    pub fn get(&self, id: &SigningKeyId) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.id == *id)
    }

    /// Returns the key that signs.
    #[must_use]
    pub fn active(&self) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.state == SigningKeyState::Active)
    }

    /// Returns the JSON Web Key Set of RFC 7517 with the published keys.
    #[must_use]
    pub fn to_jwks(&self) -> Value {
        let published = self.keys.iter().filter(|key| key.is_published());
        json!({ "keys": published.map(|key| key.public.to_jwk()).collect::<Vec<_>>() })
    }

    /// Returns the set after the key with this id signed a token that is valid until `until`, or `None` if the key
    /// is not active. The revision stays, because nodes need not know.
    #[must_use]
    pub fn with_token_until(&self, id: &SigningKeyId, until: DateTime<Utc>) -> Option<Self> {
        self.active().filter(|active| active.id == *id)?;
        let mut set = self.clone();
        for key in set.keys.iter_mut().filter(|key| key.id == *id) {
            key.signed_until = key.signed_until.max(Some(until));
        }
        Some(set)
    }

    /// Returns the set with changed or added keys and the next revision.
    pub(super) fn with(&self, changed: &[SigningKey]) -> Self {
        let kept = self.keys.iter().filter(|key| changed.iter().all(|changed| changed.id != key.id));
        Self::from_stored(self.revision + 1, kept.chain(changed).cloned().collect())
    }
}

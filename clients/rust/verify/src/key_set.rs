//! Sets of trusted keys.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::public_key::PublicKey;

/// The public keys that software trusts: those that it was built with, and those that it learned from key tokens.
///
/// A JWKS cannot be added: it is not signed, so an attacker between software and server could insert a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: BTreeMap<String, PublicKey>,
    revoked: BTreeSet<String>,
}

impl KeySet {
    /// Creates the set of the keys that the software was built with.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let keys = keys.into_iter().map(|key| (key.id().to_owned(), key)).collect();
        Self { keys, revoked: BTreeSet::new() }
    }

    /// Returns the trusted key with this id.
    ///
    /// # Errors
    /// Returns [`Error::UnknownKey`] or [`Error::RevokedKey`].
    pub fn get(&self, id: &str) -> Result<&PublicKey, Error> {
        if self.revoked.contains(id) {
            return Err(Error::RevokedKey);
        }
        self.keys.get(id).ok_or(Error::UnknownKey)
    }

    /// Returns the ids of the trusted keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// Returns whether the software was built without keys, so that it trusts no signature.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.revoked.is_empty()
    }

    /// Adds keys, and drops keys that were revoked. A revoked key never comes back.
    pub(crate) fn learn(&mut self, keys: &[PublicKey], revoked: &[String]) {
        self.revoked.extend(revoked.iter().cloned());
        self.keys.extend(keys.iter().map(|key| (key.id().to_owned(), key.clone())));
        let Self { keys, revoked } = self;
        keys.retain(|id, _| !revoked.contains(id));
    }
}

impl FromIterator<PublicKey> for KeySet {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        Self::new(keys)
    }
}

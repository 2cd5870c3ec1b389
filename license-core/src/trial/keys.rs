//! The keys of trial digests.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{TrialDigest, TrialSubject};
use crate::debug::opaque_debug;
use crate::key::KeyVault;

/// Changing the text gives every trial key another id.
const ID_CONTEXT: &str = "license-core 2026 trial key id v1";
const ID_BYTES: usize = 8;

/// The key of the trial digests of one database. Wiped on drop; `Debug` shows nothing.
#[derive(Clone)]
pub struct TrialKey(Zeroizing<[u8; 32]>);

impl TrialKey {
    /// Wraps a key.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns a name that does not reveal the key.
    pub(crate) fn id(&self) -> String {
        let digest = blake3::derive_key(ID_CONTEXT, self.0.as_slice());
        digest[..ID_BYTES].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// Returns the digest: keyed BLAKE3, each part after its length.
    fn digest(&self, product: &str, subject: TrialSubject<'_>) -> TrialDigest {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in [product].into_iter().chain(subject.parts()) {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part.as_bytes());
        }
        TrialDigest::from_bytes(hasher.finalize().into())
    }
}

opaque_debug!(TrialKey);

/// The key of this database, and those of databases whose claims were imported. A trial is claimed by the digest
/// of each key, so that a trial of an imported claim is used too. Clones share the keys.
#[derive(Clone)]
pub struct TrialKeys(Arc<[TrialKey]>);

impl TrialKeys {
    /// Returns the key that the vault derives from the data keys, alone.
    #[must_use]
    pub fn new(vault: &KeyVault) -> Self {
        TrialKey::from_bytes(*vault.trial_key()).into()
    }

    /// Returns the own key with these imported ones, in the order of their ids.
    #[must_use]
    pub(crate) fn with_imported(&self, imported: impl IntoIterator<Item = TrialKey>) -> Self {
        let own: Vec<_> = self.0.first().cloned().into_iter().collect();
        let own_id = own.first().map(TrialKey::id);
        let mut imported: Vec<_> = imported.into_iter().map(|key| (key.id(), key)).collect();
        imported.sort_by(|(a, _), (b, _)| a.cmp(b));
        imported.dedup_by(|(a, _), (b, _)| a == b);
        let imported = imported.into_iter().filter(|(id, _)| Some(id) != own_id.as_ref());
        Self(own.into_iter().chain(imported.map(|(_, key)| key)).collect())
    }

    /// Returns the digests by which a trial of this product is claimed, one for each key.
    pub fn digests(&self, product: &str, subject: TrialSubject<'_>) -> impl Iterator<Item = TrialDigest> {
        self.0.iter().map(move |key| key.digest(product, subject))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &TrialKey> {
        self.0.iter()
    }
}

impl From<TrialKey> for TrialKeys {
    fn from(key: TrialKey) -> Self {
        Self([key].into())
    }
}

opaque_debug!(TrialKeys);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::license::{CustomerEmail, Fingerprint};

    fn key(byte: u8) -> TrialKey {
        TrialKey::from_bytes([byte; 32])
    }

    #[test]
    fn digest_differs_by_key_product_kind_and_name() {
        let device = |text| Fingerprint::parse(text).unwrap();
        let email = |text| CustomerEmail::parse(text).unwrap();
        let mut digests = BTreeSet::new();
        for byte in [1, 2] {
            for product in ["default", "editor"] {
                for name in ["a@example.com", "b@example.com"] {
                    digests.insert(key(byte).digest(product, TrialSubject::Device(&device(name))));
                    digests.insert(key(byte).digest(product, TrialSubject::Customer(&email(name))));
                }
            }
        }
        assert_eq!(digests.len(), 16);
    }

    #[test]
    fn spellings_of_an_address_are_one_customer() {
        let digest = |typed| {
            let email = CustomerEmail::parse(typed).unwrap();
            key(1).digest("default", TrialSubject::Customer(&email))
        };
        assert_eq!(digest("Dev@Bücher.example"), digest(" dev@xn--bcher-kva.example "));
        assert_ne!(digest("dev@example.com"), digest("dev+2@example.com"));
    }

    #[test]
    fn imported_keys_follow_the_own_key_once() {
        let own = TrialKeys::from(key(1));
        let all = own.with_imported([key(3), key(2), key(3), key(1)]);
        let bytes: Vec<_> = all.iter().map(|key| key.as_bytes()[0]).collect();
        assert_eq!((bytes[0], bytes.len()), (1, 3));
        let again: Vec<_> = all.with_imported([key(2)]).iter().map(|key| key.as_bytes()[0]).collect();
        assert_eq!(again, [1, 2]);
    }

    #[test]
    fn debug_shows_no_key_and_no_digest() {
        let device = Fingerprint::parse("m").unwrap();
        let digest = key(7).digest("default", TrialSubject::Device(&device));
        let shown = format!("{:?} {:?} {digest:?}", key(7), TrialKeys::from(key(7)));
        assert_eq!(shown, "TrialKey(…) TrialKeys(…) TrialDigest(…)");
    }
}

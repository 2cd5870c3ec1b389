//! Seals of license keys in an export.

use zeroize::Zeroizing;

use super::aead::{self, NONCE_BYTES};
use super::vault::open_key;
use super::{LicenseKey, SealedKey, Secret, VaultError};
use crate::debug::opaque_debug;

/// Changing this text makes every existing export unreadable.
const SEAL_CONTEXT: &str = "license-core 2026 export seal v1";
const NONCE_CONTEXT: &str = "license-core 2026 export nonce v1";

/// Seals license keys by the [`Secret`] alone: a database with the same secret can open them.
pub(crate) struct ExportSeal {
    seal_key: Zeroizing<[u8; 32]>,
    nonce_key: Zeroizing<[u8; 32]>,
}

impl ExportSeal {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self { seal_key: secret.derive(SEAL_CONTEXT), nonce_key: secret.derive(NONCE_CONTEXT) }
    }

    /// Encrypts a key for one license. The nonce is derived from both, so that exports are reproducible.
    pub(crate) fn seal(&self, key: &LicenseKey, license_id: &str) -> SealedKey {
        self.seal_bytes(key.sealed_text().as_bytes(), license_id)
    }

    /// Encrypts bytes for one owner.
    pub(crate) fn seal_bytes(&self, clear: &[u8], owner: &str) -> SealedKey {
        let mut hasher = blake3::Hasher::new_keyed(&self.nonce_key);
        // No id contains a zero byte, so different pairs of id and key have different inputs.
        hasher.update(owner.as_bytes()).update(&[0]).update(clear);
        let mut nonce = [0; NONCE_BYTES];
        hasher.finalize_xof().fill(&mut nonce);
        SealedKey::from_bytes(aead::seal_with_nonce(&self.seal_key, nonce, clear, owner))
    }

    /// Decrypts what [`seal_bytes`](Self::seal_bytes) returned for this owner.
    pub(crate) fn open_bytes(&self, sealed: &SealedKey, owner: &str) -> Option<Zeroizing<Vec<u8>>> {
        aead::open(&self.seal_key, sealed.as_bytes(), owner)
    }

    pub(crate) fn open(&self, sealed: &SealedKey, license_id: &str) -> Result<LicenseKey, VaultError> {
        open_key(&self.seal_key, sealed, license_id)
    }
}

opaque_debug!(ExportSeal);

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(byte: &str) -> ExportSeal {
        ExportSeal::new(&Secret::from_hex(&byte.repeat(32)).unwrap())
    }

    fn key(text: &str) -> LicenseKey {
        LicenseKey::from_canonical(text.to_owned())
    }

    #[test]
    fn exported_key_opens_with_its_secret_for_its_license() {
        let sealed = seal("5a").seal(&key("A-1"), "lic_1");
        assert_eq!(seal("5a").open(&sealed, "lic_1"), Ok(key("A-1")));
        assert!(seal("5a").open(&sealed, "lic_2").is_err());
        assert!(seal("5b").open(&sealed, "lic_1").is_err());
        let imported = LicenseKey::from_imported("A-1");
        let opened = seal("5a").open(&seal("5a").seal(&imported, "lic_1"), "lic_1").unwrap();
        assert!(opened.is_imported());
    }

    #[test]
    fn nonce_differs_for_each_key_and_license() {
        let nonce = |text: &str, id: &str| seal("5a").seal(&key(text), id).as_bytes()[..NONCE_BYTES].to_vec();
        assert_eq!(nonce("A-1", "lic_1"), nonce("A-1", "lic_1"));
        assert_ne!(nonce("A-1", "lic_1"), nonce("A-1", "lic_2"));
        assert_ne!(nonce("A-1", "lic_1"), nonce("A-2", "lic_1"));
        assert_ne!(nonce("1A-1", "lic_"), nonce("A-1", "lic_1"));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", seal("5a")), "ExportSeal(…)");
    }
}

//! What a store holds of a key: a digest to find it by, and a sealed copy to show its owner.

use std::fmt;

use rand::TryCryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::{DataKeys, KeyDigest, LicenseKey, aead};
use crate::customer::CustomerEmail;
use crate::endpoint::{EndpointId, SealedSecret, WebhookSecret};

/// One context per purpose, so that no derived key reveals another. Changing a text makes every existing database
/// unreadable.
const DIGEST_CONTEXT: &str = "license-core 2025 license key digest v1";
const FOREIGN_DIGEST_CONTEXT: &str = "license-core 2026 foreign license key digest v1";
const SEAL_CONTEXT: &str = "license-core 2025 license key seal v1";
const SECRET_SEAL_CONTEXT: &str = "license-core 2026 webhook secret seal v1";
const PSEUDONYM_CONTEXT: &str = "license-core 2026 customer pseudonym v1";

/// Turns license keys into digests and sealed keys, and back. Its keys are derived from the [`DataKeys`] of the database,
/// wiped on drop and hidden from `Debug`.
///
/// ```
/// use license_core::key::{DataKeys, KeyFormat, KeyVault};
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
/// let vault = KeyVault::new(&DataKeys::generate(&mut rng)?);
/// let key = KeyFormat::default().generate(&mut rng)?;
///
/// let sealed = vault.seal(&key, "lic_1", &mut rng)?;
/// assert_eq!(vault.open(&sealed, "lic_1")?, key);
/// assert!(vault.open(&sealed, "lic_2").is_err(), "sealed for another license");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KeyVault {
    digest: Zeroizing<[u8; 32]>,
    foreign_digest: Zeroizing<[u8; 32]>,
    seal: Zeroizing<[u8; 32]>,
    pseudonym: Zeroizing<[u8; 32]>,
    secret_seal: Zeroizing<[u8; 32]>,
}

impl KeyVault {
    /// Derives the keys of a vault.
    #[must_use]
    pub fn new(keys: &DataKeys) -> Self {
        Self {
            digest: keys.derive(DIGEST_CONTEXT),
            foreign_digest: keys.derive(FOREIGN_DIGEST_CONTEXT),
            seal: keys.derive(SEAL_CONTEXT),
            pseudonym: keys.derive(PSEUDONYM_CONTEXT),
            secret_seal: keys.derive(SECRET_SEAL_CONTEXT),
        }
    }

    /// What stands in the place of a customer: keyed BLAKE3 of the address, so that who has the database alone can't find out by
    /// trying addresses.
    #[must_use]
    pub fn pseudonym(&self, email: &CustomerEmail) -> CustomerEmail {
        let hash = blake3::keyed_hash(&self.pseudonym, email.as_str().as_bytes());
        let mut pseudonym = [0; 16];
        pseudonym.copy_from_slice(&hash.as_bytes()[..16]);
        CustomerEmail::anonymous(pseudonym)
    }

    /// What a store finds the license of this key by: keyed BLAKE3 of its canonical text. A key of another system has a
    /// digest of its own, so that it is no other key that is spelt alike.
    #[must_use]
    pub fn digest(&self, key: &LicenseKey) -> KeyDigest {
        let keyed = if key.is_foreign() { &self.foreign_digest } else { &self.digest };
        KeyDigest::from_bytes(blake3::keyed_hash(keyed, key.reveal().as_bytes()).into())
    }

    /// Encrypts a key for one license (XChaCha20-Poly1305, the license id as associated data, a nonce of its
    /// own each time): a sealed key copied to another license's row does not open.
    ///
    /// # Errors
    ///
    /// Whatever the generator fails with.
    pub fn seal<R: TryCryptoRng + ?Sized>(
        &self,
        key: &LicenseKey,
        license_id: &str,
        rng: &mut R,
    ) -> Result<SealedKey, R::Error> {
        aead::seal(&self.seal, key.sealed_text().as_bytes(), license_id, rng).map(SealedKey::from_bytes)
    }

    /// Decrypts what [`seal`](Self::seal) made for this license.
    ///
    /// # Errors
    ///
    /// Returns [`VaultError`] if it was altered, cut short, or sealed with other data keys or for another license. The cipher
    /// cannot tell which.
    pub fn open(&self, sealed: &SealedKey, license_id: &str) -> Result<LicenseKey, VaultError> {
        open_key(&self.seal, sealed, license_id)
    }

    /// As [`seal`](Self::seal), with a key of its own: a webhook's secret, for one endpoint.
    ///
    /// # Errors
    ///
    /// Whatever the generator fails with.
    pub fn seal_secret<R: TryCryptoRng + ?Sized>(
        &self,
        secret: &WebhookSecret,
        endpoint: &EndpointId,
        rng: &mut R,
    ) -> Result<SealedSecret, R::Error> {
        let sealed = aead::seal(&self.secret_seal, secret.as_bytes(), endpoint.as_str(), rng)?;
        Ok(SealedSecret::from_bytes(sealed))
    }

    /// Decrypts what [`seal_secret`](Self::seal_secret) made for this endpoint.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_secret(
        &self,
        sealed: &SealedSecret,
        endpoint: &EndpointId,
    ) -> Result<WebhookSecret, VaultError> {
        let bytes = aead::open(&self.secret_seal, sealed.as_bytes(), endpoint.as_str());
        bytes.map(WebhookSecret::from_bytes).ok_or(VaultError(()))
    }
}

pub(super) fn open_key(
    key: &[u8; 32],
    sealed: &SealedKey,
    license_id: &str,
) -> Result<LicenseKey, VaultError> {
    let mut bytes = aead::open(key, &sealed.0, license_id).ok_or(VaultError(()))?;
    String::from_utf8(std::mem::take(&mut *bytes)).map(LicenseKey::from_canonical).map_err(|error| {
        error.into_bytes().zeroize();
        VaultError(())
    })
}

impl fmt::Debug for KeyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyVault(…)")
    }
}

/// A key that only [`KeyVault::open`] can read: 24 bytes of nonce, the encrypted text, 16 bytes of tag.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SealedKey(Box<[u8]>);

impl SealedKey {
    /// A sealed key as a store kept it. Any bytes will do; opening them tells.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// The bytes a store keeps.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedKey({} bytes)", self.0.len())
    }
}

/// A sealed value does not open: it was altered, or sealed with other data keys or for another owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value was altered, or sealed with other data keys or for another owner")]
pub struct VaultError(());

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::key::KeyFormat;

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(1)
    }

    fn vault_of(last_byte: u8) -> KeyVault {
        let mut root = std::array::from_fn(|at| u8::try_from(at).unwrap());
        root[31] = last_byte;
        KeyVault::new(&DataKeys::from_bytes(root))
    }

    fn vault() -> KeyVault {
        vault_of(0xff)
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn key() -> LicenseKey {
        KeyFormat::default().generate(&mut rng()).unwrap()
    }

    #[test]
    fn a_sealed_key_opens_for_its_license_only() {
        let sealed = vault().seal(&key(), "lic_1", &mut rng()).unwrap();
        assert_eq!(vault().open(&sealed, "lic_1"), Ok(key()));
        for other in ["", "lic_2", "lic_11", "LIC_1"] {
            assert_eq!(vault().open(&sealed, other), Err(VaultError(())), "{other}");
        }
        let stored = SealedKey::from_bytes(sealed.as_bytes().to_vec());
        assert_eq!(stored, sealed);
        assert_eq!(vault().open(&stored, "lic_1"), Ok(key()));
    }

    #[test]
    fn sealed_key_of_other_data_keys_does_not_open() {
        let sealed = vault().seal(&key(), "lic_1", &mut rng()).unwrap();
        assert_eq!(vault_of(0xfe).open(&sealed, "lic_1"), Err(VaultError(())));
    }

    #[test]
    fn no_flipped_bit_opens() {
        let sealed = vault().seal(&key(), "lic_1", &mut rng()).unwrap();
        for bit in 0..sealed.as_bytes().len() * 8 {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                vault().open(&SealedKey::from_bytes(bytes), "lic_1"),
                Err(VaultError(())),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn no_shorter_or_longer_input_opens() {
        let sealed = vault().seal(&key(), "lic_1", &mut rng()).unwrap();
        for length in 0..sealed.as_bytes().len() {
            let cut = SealedKey::from_bytes(sealed.as_bytes()[..length].to_vec());
            assert_eq!(vault().open(&cut, "lic_1"), Err(VaultError(())), "{length} bytes");
        }
        let longer = SealedKey::from_bytes([sealed.as_bytes(), &[0]].concat());
        assert_eq!(vault().open(&longer, "lic_1"), Err(VaultError(())));
    }

    #[test]
    fn two_seals_of_one_key_differ() {
        let mut rng = rng();
        let [first, second] = [(); 2].map(|()| vault().seal(&key(), "lic_1", &mut rng).unwrap());
        assert_ne!(first, second);
        assert_ne!(first.as_bytes()[..aead::NONCE_BYTES], second.as_bytes()[..aead::NONCE_BYTES]);
        assert_eq!(vault().open(&first, "lic_1"), vault().open(&second, "lic_1"));
    }

    /// Databases must stay readable.
    #[test]
    fn digest_and_seal_never_change() {
        let key = LicenseKey::from_canonical("TO-7K3F-M2QA-ZZ81-94FY".to_owned());
        let digest = "b630f3e8e2af0a2aae247eaf103d32d3755b786891592dec6ef17f0112d42b1f";
        let sealed = "b10da48cea4c09676b8e0efcd806941465060736032bb89858e8856f14359d70\
                      8949197304a0e952e7c9427867397bb92ac3cb70753b7795cf9f4ba4e0e6";
        assert_eq!(vault().digest(&key).as_bytes(), bytes(digest).as_slice());
        assert_eq!(vault().open(&SealedKey::from_bytes(bytes(sealed)), "lic_1"), Ok(key));
    }

    /// Likewise.
    #[test]
    fn keys_of_other_systems_are_kept_apart_for_ever() {
        let text = "TO-7K3F-M2QA-ZZ81-94FY";
        let (ours, foreign) = (LicenseKey::from_canonical(text.to_owned()), LicenseKey::from_foreign(text));
        let digest = "bcb82df9e82266503c9283f791762ae21e5c1dc8f970f6b1795e94c8f0b00571";
        assert_eq!(vault().digest(&foreign).as_bytes(), bytes(digest).as_slice());
        assert_ne!(vault().digest(&foreign), vault().digest(&ours), "spelt alike, and another key");
        for key in [ours, foreign] {
            let sealed = vault().seal(&key, "lic_1", &mut rng()).unwrap();
            assert_eq!(vault().open(&sealed, "lic_1"), Ok(key));
        }
        let sealed = "b10da48cea4c09676b8e0efcd806941465060736032bb8980cf3e775684de81b\
                      e9367a6368d7e930eed5567515266e316e92f649e1fb348f729af4bdd3f993";
        let key = vault().open(&SealedKey::from_bytes(bytes(sealed)), "lic_1").unwrap();
        assert_eq!((key.reveal(), key.is_foreign()), ("TO-7K3F-M2QA-ZZ81-94FY", true));
    }

    #[test]
    fn digest_depends_on_key_and_data_keys() {
        assert_eq!(vault().digest(&key()), vault().digest(&key()));
        assert_ne!(vault().digest(&key()), vault_of(0xfe).digest(&key()));
        let another_key = KeyFormat::default().generate(&mut ChaCha8Rng::seed_from_u64(2)).unwrap();
        assert_ne!(vault().digest(&key()), vault().digest(&another_key));
    }

    #[test]
    fn each_purpose_has_its_own_key() {
        let KeyVault { digest, foreign_digest, seal, pseudonym, secret_seal } = vault();
        let keys = [digest, foreign_digest, seal, pseudonym, secret_seal];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key));
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let sealed = vault().seal(&key(), "lic_1", &mut rng()).unwrap();
        assert_eq!(format!("{:?} {sealed:?}", vault()), "KeyVault(…) SealedKey(62 bytes)");
    }
}

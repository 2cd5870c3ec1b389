//! Digests and sealed copies of license keys. Stores find a license by the digest of its key.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::TryCryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::{DataKeys, KeyDigest, LicenseKey, SealedSecret, WebhookSecret, aead};
use crate::debug::opaque_debug;
use crate::id::EndpointId;

/// One context per purpose. Changing a text breaks every existing database.
const DIGEST_CONTEXT: &str = "license-core 2025 license key digest v1";
// "foreign" is the stored name of imported keys.
const IMPORTED_DIGEST_CONTEXT: &str = "license-core 2026 foreign license key digest v1";
const SEAL_CONTEXT: &str = "license-core 2025 license key seal v1";
const SECRET_SEAL_CONTEXT: &str = "license-core 2026 webhook secret seal v1";
const PSEUDONYM_CONTEXT: &str = "license-core 2026 customer pseudonym v1";
const SIGNING_KEY_SEAL_CONTEXT: &str = "license-core 2026 signing key seal v1";
const IDEMPOTENCY_CONTEXT: &str = "license-core 2026 idempotency key v1";
const TRIAL_CONTEXT: &str = "license-core 2026 trial claim v1";
const TRIAL_SEAL_CONTEXT: &str = "license-core 2026 trial key seal v1";

/// Computes digests of license keys, and seals and opens them.
///
/// Its keys are derived from the [`DataKeys`] of the database, wiped on drop and hidden from `Debug`.
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
    imported_digest: Zeroizing<[u8; 32]>,
    seal: Zeroizing<[u8; 32]>,
    pseudonym: Zeroizing<[u8; 32]>,
    secret_seal: Zeroizing<[u8; 32]>,
    idempotency: Zeroizing<[u8; 32]>,
    trial: Zeroizing<[u8; 32]>,
    trial_seal: Zeroizing<[u8; 32]>,
    signing_key_seal: Zeroizing<[u8; 32]>,
}

impl KeyVault {
    /// Derives the keys of the vault.
    #[must_use]
    pub fn new(keys: &DataKeys) -> Self {
        Self {
            digest: keys.derive(DIGEST_CONTEXT),
            imported_digest: keys.derive(IMPORTED_DIGEST_CONTEXT),
            seal: keys.derive(SEAL_CONTEXT),
            pseudonym: keys.derive(PSEUDONYM_CONTEXT),
            secret_seal: keys.derive(SECRET_SEAL_CONTEXT),
            idempotency: keys.derive(IDEMPOTENCY_CONTEXT),
            trial: keys.derive(TRIAL_CONTEXT),
            trial_seal: keys.derive(TRIAL_SEAL_CONTEXT),
            signing_key_seal: keys.derive(SIGNING_KEY_SEAL_CONTEXT),
        }
    }

    /// Returns the digest of a request's parts: keyed BLAKE3, each part after its length. Without the key,
    /// trying texts does not reverse it.
    pub(crate) fn request_digest(&self, parts: &[&str]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.idempotency);
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part.as_bytes());
        }
        hasher.finalize().into()
    }

    /// Returns the pseudonym of a customer: keyed BLAKE3 of the address. Without the key, trying addresses
    /// does not reverse it.
    pub(crate) fn pseudonym(&self, email: &str) -> [u8; 16] {
        let mut pseudonym = [0; 16];
        pseudonym.copy_from_slice(&blake3::keyed_hash(&self.pseudonym, email.as_bytes()).as_bytes()[..16]);
        pseudonym
    }

    /// Returns the key of trial digests.
    pub(crate) fn trial_key(&self) -> &[u8; 32] {
        &self.trial
    }

    /// Encrypts the trial key of another database. `id` is its id.
    pub(crate) fn seal_trial_key<R: TryCryptoRng + ?Sized>(
        &self,
        key: &[u8; 32],
        id: &str,
        rng: &mut R,
    ) -> Result<Vec<u8>, R::Error> {
        aead::seal(&self.trial_seal, key, id, rng)
    }

    /// Decrypts what [`seal_trial_key`](Self::seal_trial_key) returned for this id.
    pub(crate) fn open_trial_key(&self, sealed: &[u8], id: &str) -> Option<[u8; 32]> {
        aead::open(&self.trial_seal, sealed, id)?.as_slice().try_into().ok()
    }

    /// Returns the digest that stores find a license by: keyed BLAKE3 of the canonical text.
    ///
    /// Imported keys have a separate digest key, so they never match an issued key with the same text.
    #[must_use]
    pub fn digest(&self, key: &LicenseKey) -> KeyDigest {
        let keyed = if key.is_imported() { &self.imported_digest } else { &self.digest };
        KeyDigest::from_bytes(blake3::keyed_hash(keyed, key.reveal().as_bytes()).into())
    }

    /// Encrypts a key with XChaCha20-Poly1305, the license id as associated data and a random nonce.
    ///
    /// A sealed key that is copied to another license does not open.
    ///
    /// # Errors
    /// Returns the error of the generator.
    pub fn seal<R: TryCryptoRng + ?Sized>(
        &self,
        key: &LicenseKey,
        license_id: &str,
        rng: &mut R,
    ) -> Result<SealedKey, R::Error> {
        aead::seal(&self.seal, key.sealed_text().as_bytes(), license_id, rng).map(SealedKey::from_bytes)
    }

    /// Decrypts a key that [`seal`](Self::seal) sealed for this license.
    ///
    /// # Errors
    /// Returns [`VaultError`] if the value was altered or cut short, or sealed with other data keys or for
    /// another license. The cipher cannot tell which.
    pub fn open(&self, sealed: &SealedKey, license_id: &str) -> Result<LicenseKey, VaultError> {
        open_key(&self.seal, sealed, license_id)
    }

    /// Encrypts the secret of a webhook endpoint, with a separate key.
    ///
    /// # Errors
    /// Returns the error of the generator.
    pub fn seal_secret<R: TryCryptoRng + ?Sized>(
        &self,
        secret: &WebhookSecret,
        endpoint: &EndpointId,
        rng: &mut R,
    ) -> Result<SealedSecret, R::Error> {
        let sealed = aead::seal(&self.secret_seal, secret.as_bytes(), endpoint.as_str(), rng)?;
        Ok(SealedSecret::from_bytes(sealed))
    }

    /// Decrypts a secret that [`seal_secret`](Self::seal_secret) sealed for this endpoint.
    ///
    /// # Errors
    /// Returns [`VaultError`] as [`open`](Self::open) does.
    pub fn open_secret(
        &self,
        sealed: &SealedSecret,
        endpoint: &EndpointId,
    ) -> Result<WebhookSecret, VaultError> {
        let bytes = aead::open(&self.secret_seal, sealed.as_bytes(), endpoint.as_str());
        bytes.map(WebhookSecret::from_bytes).ok_or(VaultError(()))
    }

    /// Encrypts the private key of a signing key, with a separate key.
    ///
    /// # Errors
    /// Returns the error of the generator.
    pub fn seal_signing_key<R: TryCryptoRng + ?Sized>(
        &self,
        seed: &[u8; 32],
        id: &str,
        rng: &mut R,
    ) -> Result<SealedSecret, R::Error> {
        aead::seal(&self.signing_key_seal, seed, id, rng).map(SealedSecret::from_bytes)
    }

    /// Decrypts a private key that [`seal_signing_key`](Self::seal_signing_key) sealed for this id.
    ///
    /// # Errors
    /// Returns [`VaultError`] as [`open`](Self::open) does.
    pub fn open_signing_key(
        &self,
        sealed: &SealedSecret,
        id: &str,
    ) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let bytes = aead::open(&self.signing_key_seal, sealed.as_bytes(), id).ok_or(VaultError(()))?;
        bytes.as_slice().try_into().map(Zeroizing::new).map_err(|_| VaultError(()))
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

opaque_debug!(KeyVault);

/// A sealed license key, which only [`KeyVault::open`] can read: a nonce of 24 bytes, the encrypted text, a
/// tag of 16 bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SealedKey(Box<[u8]>);

impl SealedKey {
    /// Wraps stored bytes. They are checked when the key is opened.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn from_base64(text: &str) -> Result<Self, base64::DecodeError> {
        STANDARD.decode(text).map(Self::from_bytes)
    }

    pub(crate) fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
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
    fn sealed_key_opens_for_its_license_and_data_keys_only() {
        let sealed = vault().seal(&key(), "lic_1", &mut rng()).unwrap();
        assert_eq!(vault().open(&sealed, "lic_1"), Ok(key()));
        for other in ["", "lic_2", "lic_11", "LIC_1"] {
            assert_eq!(vault().open(&sealed, other), Err(VaultError(())), "{other}");
        }
        assert_eq!(vault_of(0xfe).open(&sealed, "lic_1"), Err(VaultError(())));
        let stored = SealedKey::from_bytes(sealed.as_bytes().to_vec());
        assert_eq!(stored, sealed);
        assert_eq!(vault().open(&stored, "lic_1"), Ok(key()));
    }

    #[test]
    fn damaged_sealed_key_does_not_open() {
        let sealed = vault().seal(&key(), "lic_1", &mut rng()).unwrap();
        for damaged in aead::damaged(sealed.as_bytes()) {
            let opened = vault().open(&SealedKey::from_bytes(damaged.clone()), "lic_1");
            assert_eq!(opened, Err(VaultError(())), "{damaged:?}");
        }
    }

    #[test]
    fn seals_of_one_key_differ() {
        let mut rng = rng();
        let [first, second] = [(); 2].map(|()| vault().seal(&key(), "lic_1", &mut rng).unwrap());
        assert_ne!(first, second);
        assert_ne!(first.as_bytes()[..aead::NONCE_BYTES], second.as_bytes()[..aead::NONCE_BYTES]);
        assert_eq!(vault().open(&first, "lic_1"), vault().open(&second, "lic_1"));
    }

    /// Existing databases must stay readable.
    #[test]
    fn digests_and_seals_never_change() {
        let text = "TO-7K3F-M2QA-ZZ81-94FY";
        for (key, digest, sealed) in [
            (
                LicenseKey::from_canonical(text.to_owned()),
                "b630f3e8e2af0a2aae247eaf103d32d3755b786891592dec6ef17f0112d42b1f",
                "b10da48cea4c09676b8e0efcd806941465060736032bb89858e8856f14359d70\
                 8949197304a0e952e7c9427867397bb92ac3cb70753b7795cf9f4ba4e0e6",
            ),
            (
                LicenseKey::from_imported(text),
                "bcb82df9e82266503c9283f791762ae21e5c1dc8f970f6b1795e94c8f0b00571",
                "b10da48cea4c09676b8e0efcd806941465060736032bb8980cf3e775684de81b\
                 e9367a6368d7e930eed5567515266e316e92f649e1fb348f729af4bdd3f993",
            ),
        ] {
            assert_eq!(vault().digest(&key).as_bytes(), bytes(digest).as_slice());
            let opened = vault().open(&SealedKey::from_bytes(bytes(sealed)), "lic_1").unwrap();
            assert_eq!((opened.reveal(), opened.is_imported()), (text, key.is_imported()));
            let sealed = vault().seal(&key, "lic_1", &mut rng()).unwrap();
            assert_eq!(vault().open(&sealed, "lic_1"), Ok(key));
        }
    }

    #[test]
    fn digest_depends_on_key_and_data_keys() {
        assert_eq!(vault().digest(&key()), vault().digest(&key()));
        assert_ne!(vault().digest(&key()), vault_of(0xfe).digest(&key()));
        let another_key = KeyFormat::default().generate(&mut ChaCha8Rng::seed_from_u64(2)).unwrap();
        assert_ne!(vault().digest(&key()), vault().digest(&another_key));
    }

    #[test]
    fn request_digest_separates_its_parts() {
        let digest = |parts: &[&str]| vault().request_digest(parts);
        assert_eq!(digest(&["a", "bc"]), digest(&["a", "bc"]));
        for other in [["ab", "c"], ["", "abc"], ["a", "bC"]] {
            assert_ne!(digest(&["a", "bc"]), digest(&other), "{other:?}");
        }
        assert_ne!(digest(&["a", "bc"]), vault_of(0xfe).request_digest(&["a", "bc"]));
    }

    #[test]
    fn each_purpose_has_its_own_key() {
        let KeyVault {
            digest,
            imported_digest,
            seal,
            pseudonym,
            secret_seal,
            idempotency,
            trial,
            trial_seal,
            signing_key_seal,
        } = vault();
        let keys = [
            digest,
            imported_digest,
            seal,
            pseudonym,
            secret_seal,
            idempotency,
            trial,
            trial_seal,
            signing_key_seal,
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key));
        }
    }

    #[test]
    fn sealed_trial_key_opens_for_its_id_only() {
        let sealed = vault().seal_trial_key(&[9; 32], "a1", &mut rng()).unwrap();
        assert_eq!(vault().open_trial_key(&sealed, "a1"), Some([9; 32]));
        assert_eq!(vault().open_trial_key(&sealed, "a2"), None);
        assert_eq!(vault_of(0xfe).open_trial_key(&sealed, "a1"), None);
    }

    #[test]
    fn sealed_signing_key_opens_for_its_id_only() {
        let sealed = vault().seal_signing_key(&[7; 32], "kid-1", &mut rng()).unwrap();
        assert_eq!(*vault().open_signing_key(&sealed, "kid-1").unwrap(), [7; 32]);
        assert!(vault().open_signing_key(&sealed, "kid-2").is_err());
        assert!(vault_of(0xfe).open_signing_key(&sealed, "kid-1").is_err());
        for damaged in aead::damaged(sealed.as_bytes()) {
            assert!(vault().open_signing_key(&SealedSecret::from_bytes(damaged), "kid-1").is_err());
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let sealed = vault().seal(&key(), "lic_1", &mut rng()).unwrap();
        assert_eq!(format!("{:?} {sealed:?}", vault()), "KeyVault(…) SealedKey(62 bytes)");
    }
}

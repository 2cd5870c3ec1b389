//! The random keys of a database, sealed by the secret of its deployment.

use rand::TryCryptoRng;
use zeroize::Zeroizing;

use super::Secret;
use super::aead::{self, NONCE_BYTES, TAG_BYTES};
use crate::debug::opaque_debug;

/// Changing the text makes every existing database unreadable.
const SEAL_CONTEXT: &str = "license-core 2026 data keys seal v1";
const VERSION: u8 = 1;
const ROOT_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 8;
const SEALED_BYTES: usize = 1 + NONCE_BYTES + ROOT_BYTES + TAG_BYTES + CHECKSUM_BYTES;

/// The random root of all keys that protect one database.
///
/// A [`KeyVault`](super::KeyVault) derives one key per purpose from it: digests, seals, pseudonyms. The
/// database holds it sealed by the [`Secret`]. To change the secret, open the data keys with the current one
/// and seal them with the new one; everything else in the database stays valid. Wiped on drop; `Debug` shows
/// nothing.
///
/// ```
/// use license_core::key::{DataKeys, DataKeysError, Secret};
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
/// let (secret, other) = (Secret::generate(&mut rng)?, Secret::generate(&mut rng)?);
/// let sealed = DataKeys::generate(&mut rng)?.seal(&secret, &mut rng)?;
/// assert!(DataKeys::open(&sealed, &secret).is_ok());
/// assert_eq!(DataKeys::open(&sealed, &other).unwrap_err(), DataKeysError::WrongSecret);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DataKeys(Zeroizing<[u8; ROOT_BYTES]>);

impl DataKeys {
    /// Name of the setting that holds the sealed data keys in a store.
    pub const SETTING: &str = "data_keys";

    /// Generates data keys from a cryptographic generator.
    ///
    /// # Errors
    /// Returns the error of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        let mut root = Zeroizing::new([0; ROOT_BYTES]);
        rng.try_fill_bytes(root.as_mut_slice())?;
        Ok(Self(root))
    }

    /// Encrypts the data keys with the secret, for the setting [`SETTING`](Self::SETTING).
    ///
    /// # Errors
    /// Returns the error of the generator.
    pub fn seal<R: TryCryptoRng + ?Sized>(&self, secret: &Secret, rng: &mut R) -> Result<Vec<u8>, R::Error> {
        let sealed = aead::seal(&secret.derive(SEAL_CONTEXT), self.0.as_slice(), Self::SETTING, rng)?;
        let mut row = [&[VERSION], sealed.as_slice()].concat();
        // Distinguishes a damaged row from a wrong secret, which the cipher cannot.
        row.extend_from_slice(&checksum(&row));
        Ok(row)
    }

    /// Decrypts what [`seal`](Self::seal) returned.
    ///
    /// # Errors
    /// Returns [`DataKeysError::WrongSecret`] if the value was sealed with another secret, and
    /// [`DataKeysError::Damaged`] if it is not a value that `seal` returned.
    pub fn open(sealed: &[u8], secret: &Secret) -> Result<Self, DataKeysError> {
        let (row, found) = sealed.split_last_chunk::<CHECKSUM_BYTES>().ok_or(DataKeysError::Damaged)?;
        let (version, ciphertext) = row.split_first().ok_or(DataKeysError::Damaged)?;
        if sealed.len() != SEALED_BYTES || *version != VERSION || *found != checksum(row) {
            return Err(DataKeysError::Damaged);
        }
        let clear = aead::open(&secret.derive(SEAL_CONTEXT), ciphertext, Self::SETTING);
        let clear = clear.ok_or(DataKeysError::WrongSecret)?;
        let mut root = Zeroizing::new([0; ROOT_BYTES]);
        root.copy_from_slice(&clear);
        Ok(Self(root))
    }

    #[cfg(test)]
    pub(super) fn from_bytes(root: [u8; ROOT_BYTES]) -> Self {
        Self(Zeroizing::new(root))
    }

    /// Derives the key of one purpose.
    pub(super) fn derive(&self, context: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context, self.0.as_slice()))
    }
}

fn checksum(row: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&blake3::hash(row).as_bytes()[..CHECKSUM_BYTES]);
    checksum
}

opaque_debug!(DataKeys);

/// The reason why the data keys of a database do not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataKeysError {
    /// The data keys are sealed with another secret.
    #[error(
        "the secret does not fit this database: its data keys are sealed with another secret; use that one"
    )]
    WrongSecret,
    /// The value was altered or cut short.
    #[error(
        "the setting \"{}\" of this database is damaged: restore the database from a backup",
        DataKeys::SETTING
    )]
    Damaged,
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::key::{KeyVault, LicenseKey};

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(2)
    }

    fn data_keys() -> DataKeys {
        DataKeys::generate(&mut ChaCha8Rng::seed_from_u64(1)).unwrap()
    }

    fn secret(byte: &str) -> Secret {
        Secret::from_hex(&byte.repeat(32)).unwrap()
    }

    fn sealed() -> Vec<u8> {
        data_keys().seal(&secret("5a"), &mut rng()).unwrap()
    }

    fn error(sealed: &[u8], byte: &str) -> Option<DataKeysError> {
        DataKeys::open(sealed, &secret(byte)).err()
    }

    #[test]
    fn data_keys_open_with_their_secret_only() {
        assert_eq!(error(&sealed(), "5a"), None);
        assert_eq!(error(&sealed(), "5b"), Some(DataKeysError::WrongSecret));
    }

    #[test]
    fn sealed_data_keys_do_not_contain_them() {
        let keys = data_keys();
        assert_ne!(*keys.0, [0; 32], "random");
        for chunk in keys.0.chunks(8) {
            assert!(!sealed().windows(8).any(|window| window == chunk));
        }
    }

    #[test]
    fn damaged_data_keys_differ_from_wrong_secret() {
        for damaged in aead::damaged(&sealed()) {
            assert_eq!(error(&damaged, "5a"), Some(DataKeysError::Damaged), "{damaged:?}");
        }
    }

    #[test]
    fn well_formed_row_of_another_version_is_damaged() {
        let mut row = sealed();
        row.truncate(row.len() - CHECKSUM_BYTES);
        row[0] = VERSION + 1;
        row.extend_from_slice(&checksum(&row));
        assert_eq!(error(&row, "5a"), Some(DataKeysError::Damaged));
    }

    #[test]
    fn resealed_data_keys_open_with_new_secret_only() {
        let before = DataKeys::open(&sealed(), &secret("5a")).unwrap();
        let resealed = before.seal(&secret("5b"), &mut rng()).unwrap();
        assert_eq!(error(&resealed, "5a"), Some(DataKeysError::WrongSecret));
        let after = DataKeys::open(&resealed, &secret("5b")).unwrap();
        let key = LicenseKey::from_canonical("TO-7K3F-M2QA-ZZ81-94FY".to_owned());
        let (before, after) = (KeyVault::new(&before), KeyVault::new(&after));
        assert_eq!(before.digest(&key), after.digest(&key));
        let sealed_key = before.seal(&key, "lic_1", &mut rng()).unwrap();
        assert_eq!(after.open(&sealed_key, "lic_1"), Ok(key));
    }

    /// Databases must stay readable.
    #[test]
    fn sealed_form_never_changes() {
        let hex = "01c51b8a31c98b9fe13065b485c9f8658c194c430843570cca2325fef6f0a397c9d14e95823f6a189e\
                   8f73090248dfbf3bc9d35a3cbfc260728bcc13ac69495724ba3d5dc4292007bc35b5b26c6cad8289";
        let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let row: Vec<u8> = (0..hex.len()).step_by(2).map(digit).collect();
        let keys = DataKeys::open(&row, &secret("5a")).unwrap();
        assert_eq!(*keys.0, *data_keys().0);
    }

    #[test]
    fn debug_and_errors_show_no_data_keys() {
        assert_eq!(format!("{:?}", data_keys()), "DataKeys(…)");
        let [wrong, damaged] = [DataKeysError::WrongSecret, DataKeysError::Damaged];
        assert_eq!(format!("{wrong:?} {damaged:?}"), "WrongSecret Damaged");
    }
}

//! What is kept of a key: a digest to find it by, and a sealed copy to show its owner.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::TryCryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::{KeyDigest, LicenseKey};
use crate::customer::CustomerEmail;
use crate::endpoint::{EndpointId, SealedSecret, WebhookSecret};

/// One context per purpose: what one key gives away says nothing of the others. Changing a text makes every
/// existing database unreadable.
const DIGEST_CONTEXT: &str = "license-core 2025 license key digest v1";
const FOREIGN_DIGEST_CONTEXT: &str = "license-core 2026 foreign license key digest v1";
const SEAL_CONTEXT: &str = "license-core 2025 license key seal v1";
const SECRET_SEAL_CONTEXT: &str = "license-core 2026 webhook secret seal v1";
const CHECK_CONTEXT: &str = "license-core 2025 secret check v1";
const PSEUDONYM_CONTEXT: &str = "license-core 2026 customer pseudonym v1";

const NONCE_BYTES: usize = 24;

/// The 32 bytes that everything kept of a license key depends on. Whoever has them and the database has the
/// keys; whoever loses them has neither.
///
/// Wiped on drop; `Debug` shows nothing.
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Reads 64 hex digits in either case, white space around them ignored.
    ///
    /// ```
    /// use license_core::key::{Secret, SecretError};
    /// assert!(Secret::from_hex(&"0aF9".repeat(16)).is_ok());
    /// assert_eq!(Secret::from_hex("0aF9").unwrap_err(), SecretError::Length { found: 4 });
    /// ```
    ///
    /// # Errors
    ///
    /// Another number of characters, or one that is no hex digit. The error repeats none of them.
    pub fn from_hex(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        let found = text.chars().count();
        if found != 64 {
            return Err(SecretError::Length { found });
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (index, character) in text.chars().enumerate() {
            let digit = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let digit = digit.ok_or(SecretError::Digit { position: index + 1 })?;
            bytes[index / 2] = bytes[index / 2] << 4 | digit;
        }
        Ok(Self(bytes))
    }

    /// A new secret from a cryptographic generator, normally the operating system's (`rand::rngs::SysRng`).
    ///
    /// # Errors
    ///
    /// Whatever the generator fails with.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(bytes.as_mut_slice())?;
        Ok(Self(bytes))
    }

    /// 64 lower-case hex digits, to be written to a file that only its owner can read.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        // Sized at once: a growing string would leave copies in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(64));
        for byte in self.0.iter() {
            for nibble in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(nibble.into(), 16));
            }
        }
        text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a text is not a [`Secret`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Too short or too long.
    #[error("a secret is 64 hex digits, this one has {found} characters")]
    Length {
        /// Characters found, white space around them not counted.
        found: usize,
    },
    /// Something else than 0-9, a-f or A-F.
    #[error("a secret is 64 hex digits, character {position} is not one")]
    Digit {
        /// Counted from 1, white space before the first character not counted.
        position: usize,
    },
}

/// Turns keys into what a store may keep, and back. Every key in it is derived from one [`Secret`], wiped on
/// drop and hidden from `Debug`.
///
/// ```
/// use license_core::key::{KeyFormat, KeyVault, Secret};
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
/// let vault = KeyVault::new(&Secret::generate(&mut rng)?);
/// let key = KeyFormat::default().generate(&mut rng)?;
///
/// let sealed = vault.seal(&key, "lic_1", &mut rng)?;
/// assert_eq!(vault.open(&sealed, "lic_1")?, key);
/// assert!(vault.open(&sealed, "lic_2").is_err(), "sealed for another license");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KeyVault {
    digest_key: Zeroizing<[u8; 32]>,
    foreign_digest_key: Zeroizing<[u8; 32]>,
    seal_key: Zeroizing<[u8; 32]>,
    pseudonym_key: Zeroizing<[u8; 32]>,
    secret_seal_key: Zeroizing<[u8; 32]>,
    check: [u8; 32],
}

impl KeyVault {
    /// The vault of this secret; the secret itself is not kept.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let derive = |context| blake3::derive_key(context, secret.0.as_slice());
        Self {
            digest_key: Zeroizing::new(derive(DIGEST_CONTEXT)),
            foreign_digest_key: Zeroizing::new(derive(FOREIGN_DIGEST_CONTEXT)),
            seal_key: Zeroizing::new(derive(SEAL_CONTEXT)),
            pseudonym_key: Zeroizing::new(derive(PSEUDONYM_CONTEXT)),
            secret_seal_key: Zeroizing::new(derive(SECRET_SEAL_CONTEXT)),
            check: derive(CHECK_CONTEXT),
        }
    }

    /// What stands in the place of a customer: keyed BLAKE3 of the address, so that who has the database alone can't find out by
    /// trying addresses.
    #[must_use]
    pub fn pseudonym(&self, email: &CustomerEmail) -> CustomerEmail {
        let hash = blake3::keyed_hash(&self.pseudonym_key, email.as_str().as_bytes());
        let mut pseudonym = [0; 16];
        pseudonym.copy_from_slice(&hash.as_bytes()[..16]);
        CustomerEmail::anonymous(pseudonym)
    }

    /// What a store finds the license of this key by: keyed BLAKE3 of its canonical text. A key of another system has a
    /// digest of its own, so that it is no other key that is spelt alike.
    #[must_use]
    pub fn digest(&self, key: &LicenseKey) -> KeyDigest {
        let keyed = if key.is_foreign() { &self.foreign_digest_key } else { &self.digest_key };
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
        seal(&self.seal_key, key.sealed_text().as_bytes(), license_id, rng)
            .map(|sealed| SealedKey(sealed.into()))
    }

    /// Decrypts what [`seal`](Self::seal) made for this license.
    ///
    /// # Errors
    ///
    /// It was tampered with, cut short, sealed with another secret or for another license. Which one cannot
    /// be told.
    pub fn open(&self, sealed: &SealedKey, license_id: &str) -> Result<LicenseKey, VaultError> {
        let text = open(&self.seal_key, &sealed.0, license_id)?;
        String::from_utf8(text).map(LicenseKey::from_canonical).map_err(|error| {
            error.into_bytes().zeroize();
            VaultError(())
        })
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
        let sealed = seal(&self.secret_seal_key, secret.as_bytes(), endpoint.as_str(), rng)?;
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
        let bytes = open(&self.secret_seal_key, sealed.as_bytes(), endpoint.as_str())?;
        Ok(WebhookSecret::from_bytes(Zeroizing::new(bytes)))
    }

    /// A value for a store to keep, so that a wrong secret for an existing database is noticed at the start.
    /// It follows from the secret, and nothing follows from it.
    #[must_use]
    pub fn secret_check(&self) -> [u8; 32] {
        self.check
    }
}

fn seal<R: TryCryptoRng + ?Sized>(
    key: &[u8; 32],
    clear: &[u8],
    owner: &str,
    rng: &mut R,
) -> Result<Vec<u8>, R::Error> {
    // 24 random bytes never repeat, so no counter has to survive restarts.
    let mut nonce = [0; NONCE_BYTES];
    rng.try_fill_bytes(&mut nonce)?;
    let payload = Payload { msg: clear, aad: owner.as_bytes() };
    let ciphertext = XChaCha20Poly1305::new(key.into()).encrypt(&XNonce::from(nonce), payload);
    let ciphertext = ciphertext.expect("it is shorter than 256 GiB");
    Ok([nonce.as_slice(), &ciphertext].concat())
}

fn open(key: &[u8; 32], sealed: &[u8], owner: &str) -> Result<Vec<u8>, VaultError> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError(()))?;
    let payload = Payload { msg: ciphertext, aad: owner.as_bytes() };
    XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), payload).map_err(|_| VaultError(()))
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

/// The sealed key does not open: tampered with, or sealed with another secret or for another license.
///
/// It says no more, since the cipher cannot and an attacker should not learn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is sealed does not open with this secret for this owner")]
pub struct VaultError(());

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::key::KeyFormat;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(1)
    }

    fn vault() -> KeyVault {
        KeyVault::new(&Secret::from_hex(HEX).unwrap())
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn key() -> LicenseKey {
        KeyFormat::default().generate(&mut rng()).unwrap()
    }

    #[test]
    fn a_secret_is_its_hex() {
        for text in [HEX.to_owned(), HEX.to_uppercase(), format!(" \t{HEX}\r\n")] {
            assert_eq!(Secret::from_hex(&text).unwrap().to_hex().as_str(), HEX);
        }
        let secret = Secret::generate(&mut rng()).unwrap();
        let hex = secret.to_hex();
        assert_eq!(Secret::from_hex(&hex).unwrap().to_hex(), hex);
        assert_ne!(hex.as_str(), "0".repeat(64));
    }

    #[test]
    fn a_bad_secret_is_named_and_not_repeated() {
        let length = |found| SecretError::Length { found };
        let table = [
            (String::new(), length(0)),
            ("\n".to_owned(), length(0)),
            (HEX[1..].to_owned(), length(63)),
            (format!("{HEX}0"), length(65)),
            (format!("0x{HEX}"), length(66)),
            ("é".repeat(32), length(32)),
            ("é".repeat(64), SecretError::Digit { position: 1 }),
            (HEX.replace("ff", "fg"), SecretError::Digit { position: 64 }),
            (HEX.replace("0405", "04 5"), SecretError::Digit { position: 11 }),
            (HEX.replace("0405", "04٣5"), SecretError::Digit { position: 11 }),
        ];
        for (text, expect) in table {
            let error = Secret::from_hex(&text).unwrap_err();
            assert_eq!(error, expect, "{text:?}");
            assert!(!format!("{error} {error:?}").contains("0a0b"));
        }
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
    fn another_secret_does_not_open_it() {
        let other = KeyVault::new(&Secret::from_hex(&HEX.replace("ff", "fe")).unwrap());
        let sealed = vault().seal(&key(), "lic_1", &mut rng()).unwrap();
        assert_eq!(other.open(&sealed, "lic_1"), Err(VaultError(())));
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
        assert_ne!(first.as_bytes()[..NONCE_BYTES], second.as_bytes()[..NONCE_BYTES]);
        assert_eq!(vault().open(&first, "lic_1"), vault().open(&second, "lic_1"));
    }

    /// What databases hold must be found and read by every later version.
    #[test]
    fn digest_seal_and_check_never_change() {
        let key = LicenseKey::from_canonical("TO-7K3F-M2QA-ZZ81-94FY".to_owned());
        let digest = "b630f3e8e2af0a2aae247eaf103d32d3755b786891592dec6ef17f0112d42b1f";
        let check = "3bc4690b56eb49da8949229203f0b8c79a9db08eab522a10ca15569e6001b717";
        let sealed = "b10da48cea4c09676b8e0efcd806941465060736032bb89858e8856f14359d70\
                      8949197304a0e952e7c9427867397bb92ac3cb70753b7795cf9f4ba4e0e6";
        assert_eq!(vault().digest(&key).as_bytes(), bytes(digest).as_slice());
        assert_eq!(vault().secret_check(), bytes(check).as_slice());
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
    fn a_digest_follows_key_and_secret() {
        let mut rng = rng();
        let other = KeyVault::new(&Secret::generate(&mut rng).unwrap());
        assert_eq!(vault().digest(&key()), vault().digest(&key()));
        assert_ne!(vault().digest(&key()), other.digest(&key()));
        let another_key = KeyFormat::default().generate(&mut rng).unwrap();
        assert_ne!(vault().digest(&key()), vault().digest(&another_key));
        assert_ne!(vault().secret_check(), other.secret_check());
    }

    #[test]
    fn what_is_derived_for_one_use_serves_no_other() {
        let vault = vault();
        assert_ne!(vault.digest_key, vault.seal_key);
        for derived in [&vault.digest_key, &vault.seal_key] {
            assert_ne!(derived.as_slice(), vault.secret_check());
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let sealed = vault().seal(&key(), "lic_1", &mut rng()).unwrap();
        let shown = format!("{:?} {:?} {sealed:?}", Secret::from_hex(HEX).unwrap(), vault());
        assert_eq!(shown, "Secret(…) KeyVault(…) SealedKey(62 bytes)");
    }
}

//! Ed25519 key pairs and public keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use rand::TryCryptoRng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::SigningKeyId;
use crate::debug::opaque_debug;

/// An Ed25519 key pair. Wiped on drop, hidden from `Debug`.
///
/// ```
/// use license_core::signing::SigningKeyPair;
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
/// let pair = SigningKeyPair::generate(&mut rng)?;
/// let signature = pair.sign(b"a message");
/// assert!(pair.public().verifies(b"a message", &signature));
/// assert!(!pair.public().verifies(b"another message", &signature));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SigningKeyPair(SigningKey);

impl SigningKeyPair {
    /// Generates a key pair.
    ///
    /// # Errors
    /// Returns the error of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(&mut *seed)?;
        Ok(Self::from_seed(&seed))
    }

    /// Returns the key pair with this private key, the seed of RFC 8032.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Returns the private key. Never log it.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// Returns the public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

opaque_debug!(SigningKeyPair);

/// An Ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Checks stored or received bytes.
    ///
    /// # Errors
    /// Returns [`PublicKeyError`] if the bytes are no point of the curve, or a weak one, for which one signature
    /// fits many messages.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        let bytes = bytes.try_into().map_err(|_| PublicKeyError)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| PublicKeyError)?;
        if key.is_weak() { Err(PublicKeyError) } else { Ok(Self(*bytes)) }
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the thumbprint of RFC 7638, by which tokens name the key.
    #[must_use]
    pub fn id(&self) -> SigningKeyId {
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.x());
        SigningKeyId::from_thumbprint(Sha256::digest(canonical).into())
    }

    /// Returns the JSON Web Key of RFC 8037. It names no algorithm, because libraries disagree on the name.
    #[must_use]
    pub fn to_jwk(&self) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": self.x(), "kid": self.id().as_str(), "use": "sig" })
    }

    /// Returns whether the key signed the message. Signatures that other libraries could judge otherwise are
    /// refused.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let key = VerifyingKey::from_bytes(&self.0);
        key.is_ok_and(|key| key.verify_strict(message, &signature.into()).is_ok())
    }

    fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// The bytes are not an Ed25519 public key that can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not an Ed25519 public key, or a weak one")]
pub struct PublicKeyError;

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 8037, appendix A.
    const SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

    fn pair() -> SigningKeyPair {
        let seed = URL_SAFE_NO_PAD.decode(SEED).unwrap();
        SigningKeyPair::from_seed(&seed.try_into().unwrap())
    }

    #[test]
    fn key_of_the_standard_has_its_thumbprint() {
        let public = pair().public();
        assert_eq!(public.x(), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(public.id().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(
            public.to_jwk(),
            json!({
                "kty": "OKP", "crv": "Ed25519", "x": public.x(), "kid": public.id().as_str(), "use": "sig",
            })
        );
    }

    #[test]
    fn signature_of_the_standard_is_made_and_verified() {
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = pair().sign(message);
        let expected =
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(URL_SAFE_NO_PAD.encode(signature), expected);
        assert!(pair().public().verifies(message, &signature));
        for byte in 0..64 {
            let mut other = signature;
            other[byte] ^= 1;
            assert!(!pair().public().verifies(message, &other), "{byte}");
        }
    }

    #[test]
    fn weak_and_malformed_public_keys_are_refused() {
        let identity = [&[1][..], &[0; 31]].concat();
        for bytes in [&identity[..], &[0; 32], &[2; 31], &[9; 33]] {
            assert_eq!(PublicKey::from_bytes(bytes), Err(PublicKeyError), "{bytes:?}");
        }
        assert_eq!(PublicKey::from_bytes(pair().public().as_bytes()), Ok(pair().public()));
    }

    #[test]
    fn debug_shows_no_private_key() {
        assert_eq!(format!("{:?}", pair()), "SigningKeyPair(…)");
    }
}

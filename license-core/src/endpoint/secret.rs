//! The secret that an endpoint's deliveries are signed with.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::TryCryptoRng;
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";
/// Standard Webhooks: 24 to 64.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret of Standard Webhooks: `whsec_` and the base64 of 24 to 64 bytes. Wiped on drop; `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    /// A new secret of 32 bytes.
    ///
    /// # Errors
    /// That of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        rng.try_fill_bytes(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads `whsec_…`.
    ///
    /// # Errors
    /// [`WebhookSecretError`] when it is of another form; it repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, WebhookSecretError> {
        let rest = text.strip_prefix(PREFIX).ok_or(WebhookSecretError)?;
        let bytes = Zeroizing::new(STANDARD.decode(rest).map_err(|_| WebhookSecretError)?);
        if BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(WebhookSecretError) }
    }

    /// `whsec_…`, for the one who owns it. Never log it.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        // Sized at once: a growing string would leave copies in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + self.0.len().div_ceil(3) * 4));
        text.push_str(PREFIX);
        STANDARD.encode_string(&*self.0, &mut text);
        text
    }

    /// The key of the signature.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// A text that is no secret of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")]
pub struct WebhookSecretError;

/// A secret that only [`KeyVault::open_secret`](crate::key::KeyVault::open_secret) can read.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(Vec<u8>);

impl SealedSecret {
    /// A sealed secret as a store kept it. Any bytes will do; opening them tells.
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes a store keeps.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedSecret({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_secret_is_its_text() {
        let secret = WebhookSecret::generate(&mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        assert_eq!(WebhookSecret::parse(&secret.reveal()), Ok(secret.clone()));
        assert_eq!(secret.as_bytes().len(), 32);
        assert_eq!(format!("{secret:?}"), "WebhookSecret(…)");
    }

    #[test]
    fn lengths_at_the_edge_and_one_past() {
        for (len, good) in [(23, false), (24, true), (64, true), (65, false)] {
            let text = format!("whsec_{}", STANDARD.encode(vec![7; len]));
            assert_eq!(WebhookSecret::parse(&text).is_ok(), good, "{len} bytes");
        }
        let good = format!("whsec_{}", STANDARD.encode([7; 24]));
        for refused in ["", "whsec_", &good[1..], &good.replace("whsec", "WHSEC"), &format!("{good} ")] {
            assert_eq!(WebhookSecret::parse(refused), Err(WebhookSecretError), "{refused:?}");
        }
    }
}

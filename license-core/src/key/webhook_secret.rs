//! Secrets that sign webhook deliveries.

use std::fmt;

use crate::debug::opaque_debug;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::TryCryptoRng;
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";
/// Allowed by Standard Webhooks: 24 to 64 bytes.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A Standard Webhooks secret: `whsec_` and base64 of 24 to 64 bytes. Wiped on drop, hidden from `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    /// Generates a secret of 32 bytes.
    ///
    /// # Errors
    /// Returns the error of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        rng.try_fill_bytes(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Parses `whsec_…`.
    ///
    /// # Errors
    /// Returns [`WebhookSecretError`] if the form is wrong. The error does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, WebhookSecretError> {
        let rest = text.strip_prefix(PREFIX).ok_or(WebhookSecretError)?;
        let bytes = Zeroizing::new(STANDARD.decode(rest).map_err(|_| WebhookSecretError)?);
        if BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(WebhookSecretError) }
    }

    /// Returns `whsec_…`, to show to its owner. Never log it.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        // Full capacity: a growing string would leave copies in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + self.0.len().div_ceil(3) * 4));
        text.push_str(PREFIX);
        STANDARD.encode_string(&*self.0, &mut text);
        text
    }

    /// Returns the signing key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

opaque_debug!(WebhookSecret);

/// The text is not a webhook secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret must be whsec_ and the base64 of 24 to 64 bytes")]
pub struct WebhookSecretError;

/// A sealed secret, which only [`KeyVault::open_secret`](crate::key::KeyVault::open_secret) or
/// [`KeyVault::open_signing_key`](crate::key::KeyVault::open_signing_key) can read.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(Vec<u8>);

impl SealedSecret {
    /// Wraps stored bytes. They are checked when the secret is opened.
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes to store.
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
    fn secret_round_trips_through_its_text() {
        let secret = WebhookSecret::generate(&mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        assert_eq!(WebhookSecret::parse(&secret.reveal()), Ok(secret.clone()));
        assert_eq!(secret.as_bytes().len(), 32);
        assert_eq!(format!("{secret:?}"), "WebhookSecret(…)");
    }

    #[test]
    fn secret_length_is_checked_at_the_edge() {
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

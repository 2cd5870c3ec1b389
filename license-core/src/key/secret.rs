//! The secret of a deployment.

use crate::debug::opaque_debug;
use rand::TryCryptoRng;
use zeroize::Zeroizing;

/// The 32 bytes that seal the [`DataKeys`](super::DataKeys) of a database.
///
/// The secret and the database together reveal every license key. If the secret is lost, no license key of
/// the database can be read or validated. Wiped on drop; `Debug` shows nothing.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Reads 64 hex digits of either case. White space around them is ignored.
    ///
    /// ```
    /// use license_core::key::{Secret, SecretError};
    /// assert!(Secret::from_hex(&"0aF9".repeat(16)).is_ok());
    /// assert_eq!(Secret::from_hex("0aF9").unwrap_err(), SecretError::Length { found: 4 });
    /// ```
    ///
    /// # Errors
    /// Returns [`SecretError`] if the text is longer or shorter, or has another character. The error does
    /// not repeat the text.
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

    /// Generates a secret with a cryptographic generator, such as `rand::rngs::SysRng`.
    ///
    /// # Errors
    /// Returns the error of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(bytes.as_mut_slice())?;
        Ok(Self(bytes))
    }

    /// Returns 64 lower-case hex digits, to be written to a file that only its owner can read.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        // Full capacity: a growing string would leave copies in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(64));
        for byte in self.0.iter() {
            for nibble in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(nibble.into(), 16));
            }
        }
        text
    }

    /// Derives the key of one purpose.
    pub(super) fn derive(&self, context: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context, self.0.as_slice()))
    }
}

opaque_debug!(Secret);

/// The reason why a text is not a [`Secret`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Too short or too long.
    #[error("a secret must be 64 hex digits; this one has {found} characters")]
    Length {
        /// Number of characters, without white space around them.
        found: usize,
    },
    /// A character other than 0-9, a-f or A-F.
    #[error("a secret must be 64 hex digits; character {position} is not one")]
    Digit {
        /// Position from 1, after leading white space.
        position: usize,
    },
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

    #[test]
    fn secret_round_trips_through_hex() {
        for text in [HEX.to_owned(), HEX.to_uppercase(), format!(" \t{HEX}\r\n")] {
            assert_eq!(Secret::from_hex(&text).unwrap().to_hex().as_str(), HEX);
        }
        let secret = Secret::generate(&mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        let hex = secret.to_hex();
        assert_eq!(Secret::from_hex(&hex).unwrap().to_hex(), hex);
        assert_ne!(hex.as_str(), "0".repeat(64));
    }

    #[test]
    fn invalid_secret_is_explained_but_not_repeated() {
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
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", Secret::from_hex(HEX).unwrap()), "Secret(…)");
    }
}

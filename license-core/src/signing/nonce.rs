//! Nonces of requests.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::limits;

/// A random value by which licensed software recognizes the answer to its own request: base64url of
/// [`limits::NONCE_MIN_BYTES`] to [`limits::NONCE_MAX_BYTES`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// Parses a nonce.
    ///
    /// # Errors
    /// Returns [`NonceError`] if the form or the length is wrong.
    pub fn parse(text: &str) -> Result<Self, NonceError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NonceError)?;
        if (limits::NONCE_MIN_BYTES..=limits::NONCE_MAX_BYTES).contains(&bytes.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NonceError)
        }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is not a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the nonce must be base64url, without padding, of {} to {} random bytes",
    limits::NONCE_MIN_BYTES,
    limits::NONCE_MAX_BYTES
)]
pub struct NonceError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonce_has_16_to_64_bytes_in_one_form() {
        for (bytes, valid) in [(15, false), (16, true), (64, true), (65, false)] {
            let text = URL_SAFE_NO_PAD.encode(vec![0xfb; bytes]);
            assert_eq!(Nonce::parse(&text).is_ok(), valid, "{bytes}");
        }
        let text = URL_SAFE_NO_PAD.encode([0xfb; 16]);
        assert_eq!(Nonce::parse(&text).as_ref().map(Nonce::as_str), Ok(&*text));
        // Padding, the other alphabet, white space, and unused bits that are not zero.
        let unused = format!("{}x", &text[..21]);
        for bad in [format!("{text}=="), text.replace('-', "+"), format!("{text} "), unused] {
            assert_eq!(Nonce::parse(&bad), Err(NonceError), "{bad}");
        }
    }
}

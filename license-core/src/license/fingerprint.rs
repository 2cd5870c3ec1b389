//! Fingerprints of devices.

use smol_str::SmolStr;

use crate::limits;
use crate::text_value::text_value;

/// The name of a device: 1 to 255 bytes of printable text, compared exactly.
///
/// Containers of a fleet can share a fingerprint; they then count as one device.
///
/// ```
/// use license_core::license::Fingerprint;
/// assert!(Fingerprint::parse("8f14e45f-ceea-467f").is_ok());
/// assert!(Fingerprint::parse("two\nlines").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(SmolStr);

impl Fingerprint {
    /// Parses a fingerprint, without surrounding white space.
    ///
    /// # Errors
    /// Returns [`FingerprintError`] if the text is empty, too long or has control characters.
    pub fn parse(text: &str) -> Result<Self, FingerprintError> {
        let text = text.trim();
        if text.is_empty() {
            Err(FingerprintError::Empty)
        } else if text.len() > limits::FINGERPRINT_BYTES {
            Err(FingerprintError::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(FingerprintError::Control)
        } else {
            Ok(Self(SmolStr::new(text)))
        }
    }

    /// Returns the fingerprint as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(Fingerprint, FingerprintError);

/// The reason why a text is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// Empty, or white space only.
    #[error("a fingerprint must not be empty")]
    Empty,
    /// Longer than [`limits::FINGERPRINT_BYTES`].
    #[error("a fingerprint can have at most {} bytes", limits::FINGERPRINT_BYTES)]
    TooLong,
    /// A control character, such as NUL.
    #[error("a fingerprint must not have control characters")]
    Control,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_trimmed_and_bounded() {
        let long = "x".repeat(limits::FINGERPRINT_BYTES);
        for (text, expected) in [
            ("a", Ok("a")),
            ("  MAC 00:11 ", Ok("MAC 00:11")),
            ("größe", Ok("größe")),
            (long.as_str(), Ok(long.as_str())),
            (&format!("{long}x"), Err(FingerprintError::TooLong)),
            ("", Err(FingerprintError::Empty)),
            (" \t", Err(FingerprintError::Empty)),
            ("a\0b", Err(FingerprintError::Control)),
        ] {
            assert_eq!(
                Fingerprint::parse(text).as_ref().map(Fingerprint::as_str),
                expected.as_ref().copied(),
                "{text:?}"
            );
        }
    }
}

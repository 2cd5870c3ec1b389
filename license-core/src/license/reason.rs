//! Reasons that the vendor gives for a change.

use smol_str::SmolStr;

use crate::limits;
use crate::text_value::text_value;

/// The reason for a change, such as `chargeback`: 1 to 255 bytes of printable text. It can name a person, so an
/// erasure of the customer removes it.
///
/// ```
/// use license_core::license::Reason;
/// assert_eq!(Reason::parse(" chargeback ")?.as_str(), "chargeback");
/// # Ok::<(), license_core::license::ReasonError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(SmolStr);

impl Reason {
    /// Parses a reason, without surrounding white space.
    ///
    /// # Errors
    /// Returns [`ReasonError`] if the text is empty, too long or has control characters.
    pub fn parse(text: &str) -> Result<Self, ReasonError> {
        let text = text.trim();
        let well_formed =
            (1..=limits::REASON_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if well_formed { Ok(Self(SmolStr::new(text))) } else { Err(ReasonError) }
    }

    /// Returns the reason as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(Reason, ReasonError);

/// The text is not a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reason must be 1 to {} bytes of text without control characters", limits::REASON_BYTES)]
pub struct ReasonError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_trimmed_and_bounded() {
        let long = "x".repeat(limits::REASON_BYTES);
        for (text, expected) in [
            (" chargeback ", Some("chargeback")),
            ("Rückbuchung №17", Some("Rückbuchung №17")),
            (long.as_str(), Some(long.as_str())),
            (&format!("{long}x"), None),
            ("", None),
            (" \t", None),
            ("two\nlines", None),
            ("a\0b", None),
        ] {
            assert_eq!(Reason::parse(text).as_ref().map(Reason::as_str).ok(), expected, "{text:?}");
        }
    }
}

//! Ids of licenses in systems of the vendor.

use smol_str::SmolStr;

use crate::limits;
use crate::text_value::text_value;

/// The id of a license in another system of the vendor, such as an order or a subscription: 1 to 128 bytes of
/// printable text, compared exactly. No two licenses have the same one.
///
/// It stays when a customer is erased, so it must not be personal data.
///
/// ```
/// use license_core::license::ExternalId;
/// assert!(ExternalId::parse("sub_1QxY2z").is_ok());
/// assert!(ExternalId::parse("two\nlines").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalId(SmolStr);

impl ExternalId {
    /// Parses an id, without surrounding white space.
    ///
    /// # Errors
    /// Returns [`ExternalIdError`] if the text is empty, too long or has control characters.
    pub fn parse(text: &str) -> Result<Self, ExternalIdError> {
        let text = text.trim();
        let well_formed =
            (1..=limits::EXTERNAL_ID_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if well_formed { Ok(Self(SmolStr::new(text))) } else { Err(ExternalIdError) }
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(ExternalId, ExternalIdError);

/// The text is not an external id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an external id must be 1 to {} bytes of text without control characters", limits::EXTERNAL_ID_BYTES)]
pub struct ExternalIdError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_ids_are_trimmed_and_bounded() {
        let long = "x".repeat(limits::EXTERNAL_ID_BYTES);
        for (text, expected) in [
            (" sub_1 ", Some("sub_1")),
            ("A-17/ä", Some("A-17/ä")),
            (long.as_str(), Some(long.as_str())),
            (&format!("{long}x"), None),
            (" ", None),
            ("", None),
            ("a\0b", None),
        ] {
            assert_eq!(ExternalId::parse(text).as_ref().map(ExternalId::as_str).ok(), expected, "{text:?}");
        }
    }
}

//! Where a grant comes from.

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::text_value::text_value;

/// Where a grant comes from, such as the id of an add-on or a subscription: 1 to 100 bytes of printable text.
///
/// The erasure of a customer keeps it, so it must not name a person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct GrantSource(String);

impl GrantSource {
    /// Parses a source.
    ///
    /// # Errors
    /// Returns [`GrantSourceError`] if the text is empty, too long, has control characters, or begins or ends
    /// with white space.
    pub fn parse(text: &str) -> Result<Self, GrantSourceError> {
        let well_formed = (1..=limits::GRANT_SOURCE_BYTES).contains(&text.len())
            && text.trim() == text
            && !text.chars().any(char::is_control);
        if well_formed { Ok(Self(text.to_owned())) } else { Err(GrantSourceError) }
    }

    /// Returns the source as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(GrantSource, GrantSourceError);

/// The text is not a source of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the source of a grant must be 1 to {} bytes of text without control characters and white space around it",
    limits::GRANT_SOURCE_BYTES
)]
pub struct GrantSourceError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_bounded() {
        let long = "x".repeat(limits::GRANT_SOURCE_BYTES);
        for (text, expected) in [
            ("sub_17", true),
            (long.as_str(), true),
            (&format!("{long}x"), false),
            ("", false),
            ("a\0", false),
        ] {
            assert_eq!(GrantSource::parse(text).is_ok(), expected, "{text:?}");
        }
    }
}

//! Names of features.

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::text_value::text_value;

/// The name of a feature: 1 to 64 bytes of printable text, compared exactly.
///
/// ```
/// use license_core::catalog::FeatureName;
/// assert!(FeatureName::parse("export").is_ok());
/// assert!(FeatureName::parse("").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct FeatureName(String);

impl FeatureName {
    /// Parses a name.
    ///
    /// # Errors
    /// Returns [`FeatureNameError`] if the text is empty, too long, has control characters, or begins or
    /// ends with white space.
    pub fn parse(text: &str) -> Result<Self, FeatureNameError> {
        let well_formed = (1..=limits::FEATURE_NAME_BYTES).contains(&text.len())
            && text.trim() == text
            && !text.chars().any(char::is_control);
        if well_formed { Ok(Self(text.to_owned())) } else { Err(FeatureNameError) }
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(FeatureName, FeatureNameError);

/// The text is not the name of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a feature must be 1 to {} bytes of text without control characters and white space around it",
    limits::FEATURE_NAME_BYTES
)]
pub struct FeatureNameError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feature_names_are_bounded() {
        let long = "x".repeat(limits::FEATURE_NAME_BYTES);
        for (text, expected) in [
            ("export", true),
            ("PDF export", true),
            (long.as_str(), true),
            (&format!("{long}x"), false),
            ("", false),
            (" export", false),
            ("a\nb", false),
            ("a\0b", false),
        ] {
            assert_eq!(FeatureName::parse(text).is_ok(), expected, "{text:?}");
        }
    }
}

//! Labels of activations.

use smol_str::SmolStr;

use crate::limits;
use crate::text_value::text_value;

/// A label that the vendor gives an activation, such as an owner: 1 to 100 bytes of printable text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(SmolStr);

impl Label {
    /// Parses a label, without surrounding white space.
    ///
    /// # Errors
    /// Returns [`LabelError`] if the text is empty, too long or has control characters.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let text = text.trim();
        let well_formed =
            (1..=limits::LABEL_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if well_formed { Ok(Self(SmolStr::new(text))) } else { Err(LabelError) }
    }

    /// Returns the label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(Label, LabelError);

/// The text is not a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a label must be 1 to {} bytes of text without control characters", limits::LABEL_BYTES)]
pub struct LabelError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_trimmed_and_bounded() {
        let long = "x".repeat(limits::LABEL_BYTES);
        for (text, expected) in [
            (" Anna's laptop ", Some("Anna's laptop")),
            (long.as_str(), Some(long.as_str())),
            (&format!("{long}x"), None),
            (" ", None),
            ("two\nlines", None),
            ("a\0b", None),
        ] {
            assert_eq!(Label::parse(text).as_ref().map(Label::as_str).ok(), expected, "{text:?}");
        }
    }
}

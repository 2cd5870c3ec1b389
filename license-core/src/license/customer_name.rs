//! Names of customers.

use smol_str::SmolStr;

use crate::debug::opaque_debug;
use crate::limits;
use crate::text_value::text_value;

/// The name of a customer, a person or a company: 1 to 200 bytes of printable text. An erasure of the customer
/// removes it.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerName(SmolStr);

impl CustomerName {
    /// Parses a name, without surrounding white space.
    ///
    /// # Errors
    /// Returns [`CustomerNameError`] if the text is empty, too long or has control characters.
    pub fn parse(text: &str) -> Result<Self, CustomerNameError> {
        let text = text.trim();
        let well_formed =
            (1..=limits::CUSTOMER_NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if well_formed { Ok(Self(SmolStr::new(text))) } else { Err(CustomerNameError) }
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(CustomerName, CustomerNameError);

opaque_debug!(CustomerName);

/// The text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a customer name must be 1 to {} bytes of text without control characters",
    limits::CUSTOMER_NAME_BYTES
)]
pub struct CustomerNameError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customer_names_are_trimmed_and_bounded() {
        let long = "x".repeat(limits::CUSTOMER_NAME_BYTES);
        for (text, expected) in [
            (" Åsa Ek ", Some("Åsa Ek")),
            (long.as_str(), Some(long.as_str())),
            (&format!("{long}x"), None),
            (" ", None),
            ("two\nlines", None),
        ] {
            let parsed = CustomerName::parse(text);
            assert_eq!(parsed.as_ref().map(CustomerName::as_str).ok(), expected, "{text:?}");
        }
    }
}

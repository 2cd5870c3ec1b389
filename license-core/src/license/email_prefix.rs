//! Beginnings and hosts of e-mail addresses, for searches.

use crate::debug::opaque_debug;
use crate::domain::canonical_host;
use crate::limits;
use crate::text_value::text_value;

use super::customer::{CustomerEmail, EmailError};

/// The beginning of an e-mail address: 1 to 254 bytes. Letters of both cases are equal, as in
/// [`CustomerEmail`].
#[derive(Clone, PartialEq, Eq)]
pub struct EmailPrefix(Box<str>);

impl EmailPrefix {
    /// Parses a prefix, without surrounding white space.
    ///
    /// # Errors
    /// Returns [`EmailPrefixError`] if the text is empty, too long or has control characters.
    pub fn parse(text: &str) -> Result<Self, EmailPrefixError> {
        let text = text.trim();
        let well_formed =
            (1..=limits::EMAIL_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if well_formed { Ok(Self(text.to_ascii_lowercase().into())) } else { Err(EmailPrefixError) }
    }

    /// Returns the canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether an address begins with the prefix.
    #[must_use]
    pub fn matches(&self, email: &CustomerEmail) -> bool {
        email.as_str().starts_with(&*self.0)
    }
}

text_value!(EmailPrefix, EmailPrefixError);

opaque_debug!(EmailPrefix);

/// The text is not the beginning of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the beginning of an e-mail address must be 1 to {} bytes", limits::EMAIL_BYTES)]
pub struct EmailPrefixError;

/// The host of an e-mail address, in the form that [`CustomerEmail::domain`] returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailDomain(Box<str>);

impl EmailDomain {
    /// Parses a host, with or without an `@` before it.
    ///
    /// # Errors
    /// Returns [`EmailError`] if the text is not a host.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        let host = text.strip_prefix('@').unwrap_or(text);
        canonical_host(host).map(|host| Self(host.as_ref().into())).map_err(|_| EmailError::NoAddress)
    }

    /// Returns the canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(EmailDomain, EmailError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_match_in_any_case() {
        let email = CustomerEmail::parse("Dev@Example.com").unwrap();
        for (text, expected) in [("D", true), (" dev@EX", true), ("dev@example.com", true), ("ev", false)] {
            assert_eq!(EmailPrefix::parse(text).unwrap().matches(&email), expected, "{text}");
        }
        let long = "x".repeat(limits::EMAIL_BYTES);
        assert!(EmailPrefix::parse(&long).is_ok());
        for refused in ["", " ", "a\0", &format!("{long}x")] {
            assert_eq!(EmailPrefix::parse(refused), Err(EmailPrefixError), "{refused:?}");
        }
    }

    #[test]
    fn hosts_are_canonical() {
        for (text, expected) in [
            ("Example.com", Some("example.com")),
            (" @example.com ", Some("example.com")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("@", None),
            ("a@b.example", None),
            ("", None),
        ] {
            assert_eq!(EmailDomain::parse(text).as_ref().map(EmailDomain::as_str).ok(), expected, "{text:?}");
        }
        let email = CustomerEmail::parse("\"a@b\"@Example.com").unwrap();
        assert_eq!(email.domain(), "example.com");
    }
}

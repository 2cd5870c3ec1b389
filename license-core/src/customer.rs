//! Whom a license belongs to.

use std::fmt;

use email_address::{EmailAddress, Options};

use crate::limits;

/// A customer's e-mail address: one `@`, at most 254 bytes, its ASCII letters kept in lower case so that it is
/// found however it was typed. (Others stay: their lower case may be longer than what was checked.)
///
/// ```
/// use license_core::customer::CustomerEmail;
/// assert_eq!(CustomerEmail::parse(" Dev@Example.com ")?.as_str(), "dev@example.com");
/// assert!(CustomerEmail::parse("dev@").is_err());
/// # Ok::<(), license_core::customer::EmailError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerEmail(Box<str>);

impl CustomerEmail {
    /// Reads an address as a person types it.
    ///
    /// # Errors
    /// [`EmailError`] when it is too long or no address.
    pub fn parse(typed: &str) -> Result<Self, EmailError> {
        let typed = typed.trim();
        if typed.len() > limits::EMAIL_BYTES {
            return Err(EmailError::TooLong);
        }
        let options = Options::default().without_display_text().without_domain_literal();
        EmailAddress::parse_with_options(typed, options).map_err(|_| EmailError::NoAddress)?;
        if typed.chars().any(char::is_control) {
            return Err(EmailError::NoAddress);
        }
        Ok(Self(typed.to_ascii_lowercase().into()))
    }

    /// The address in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shows only that there is an address: logs carry no customer's identity.
impl fmt::Debug for CustomerEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerEmail(…)")
    }
}

/// Why a text is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmailError {
    /// Longer than [`limits::EMAIL_BYTES`].
    #[error("an e-mail address has at most {} bytes", limits::EMAIL_BYTES)]
    TooLong,
    /// Not of the form `name@host`.
    #[error("this is not an e-mail address")]
    NoAddress,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (typed, expected) in [
            ("dev@example.com", Ok("dev@example.com")),
            ("Dev+Tag@EXAMPLE.com", Ok("dev+tag@example.com")),
            ("jörg@bücher.de", Ok("jörg@bücher.de")),
            ("JÖRG@example.com", Ok("jÖrg@example.com")),
            ("", Err(EmailError::NoAddress)),
            ("dev", Err(EmailError::NoAddress)),
            ("dev@@example.com", Err(EmailError::NoAddress)),
            ("dev@exa mple.com", Err(EmailError::NoAddress)),
            ("Dev <dev@example.com>", Err(EmailError::NoAddress)),
            ("dev@example.com\0", Err(EmailError::NoAddress)),
            ("dev@[127.0.0.1]", Err(EmailError::NoAddress)),
        ] {
            assert_eq!(
                CustomerEmail::parse(typed).as_ref().map(CustomerEmail::as_str),
                expected.as_ref().copied(),
                "{typed:?}"
            );
        }
    }

    /// What is kept is read back: by a store, with the same rule.
    #[test]
    fn parsing_twice_is_parsing_once() {
        let longest = format!("{}@example.com", "İ".repeat(32));
        for typed in ["Dev@Example.com", "ΣΑΣ@example.com", &longest] {
            let once = CustomerEmail::parse(typed).unwrap();
            assert_eq!(CustomerEmail::parse(once.as_str()), Ok(once), "{typed}");
        }
    }

    #[test]
    fn length_at_the_edge_and_one_past() {
        let long = |len: usize| {
            let host = format!("{}.{}.{}.com", "a".repeat(60), "b".repeat(60), "c".repeat(60));
            let host = format!("{}.{host}", "d".repeat(len - 5 - host.len() - 1));
            format!("name@{host}")
        };
        assert_eq!(long(limits::EMAIL_BYTES).len(), limits::EMAIL_BYTES);
        assert!(CustomerEmail::parse(&long(limits::EMAIL_BYTES)).is_ok());
        assert_eq!(CustomerEmail::parse(&long(limits::EMAIL_BYTES + 1)), Err(EmailError::TooLong));
    }
}

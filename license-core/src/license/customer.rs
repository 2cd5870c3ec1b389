//! Customers of licenses.

use email_address::{EmailAddress, Options};

use crate::debug::opaque_debug;
use crate::limits;
use crate::text_value::text_value;

/// The e-mail address of a customer: at most 254 bytes, with ASCII letters in lower case, so that lookups
/// ignore their case. Other letters stay, since lower-casing them could exceed the limit.
///
/// ```
/// use license_core::license::CustomerEmail;
/// assert_eq!(CustomerEmail::parse(" Dev@Example.com ")?.as_str(), "dev@example.com");
/// assert!(CustomerEmail::parse("dev@").is_err());
/// # Ok::<(), license_core::license::EmailError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerEmail(Box<str>);

const PSEUDONYM: &str = "erased-";
const PSEUDONYM_HOST: &str = "@erased.invalid";

impl CustomerEmail {
    /// Parses a typed address.
    ///
    /// # Errors
    /// Returns [`EmailError`] if the text is too long or not an address.
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

    /// Returns the address of an erased customer. Its mail domain never exists, and the same customer
    /// always gets the same address, so that its licenses stay together.
    pub(crate) fn pseudonym(digest: [u8; 16]) -> Self {
        let digits = digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        Self(format!("{PSEUDONYM}{digits}{PSEUDONYM_HOST}").into())
    }

    /// Returns whether the customer was erased.
    #[must_use]
    pub fn is_pseudonym(&self) -> bool {
        self.0.starts_with(PSEUDONYM) && self.0.ends_with(PSEUDONYM_HOST)
    }

    /// Returns the address, with ASCII letters in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(CustomerEmail, EmailError);

opaque_debug!(CustomerEmail);

/// The reason why a text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmailError {
    /// Longer than [`limits::EMAIL_BYTES`].
    #[error("an e-mail address can have at most {} bytes", limits::EMAIL_BYTES)]
    TooLong,
    /// Not of the form `name@host`.
    #[error("this is not an e-mail address")]
    NoAddress,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_lower_cased() {
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

    /// Stores read addresses back with the same parser.
    #[test]
    fn parsing_is_idempotent() {
        let longest = format!("{}@example.com", "İ".repeat(32));
        for typed in ["Dev@Example.com", "ΣΑΣ@example.com", &longest] {
            let once = CustomerEmail::parse(typed).unwrap();
            assert_eq!(CustomerEmail::parse(once.as_str()), Ok(once), "{typed}");
        }
    }

    #[test]
    fn pseudonym_is_a_valid_address() {
        let pseudonym = CustomerEmail::pseudonym([0xa5; 16]);
        assert!(pseudonym.is_pseudonym());
        assert_eq!(CustomerEmail::parse(pseudonym.as_str()), Ok(pseudonym));
        assert!(!CustomerEmail::parse("pseudonym@example.com").unwrap().is_pseudonym());
    }

    #[test]
    fn email_length_is_checked_at_the_edge() {
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

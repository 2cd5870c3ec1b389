//! Customers of licenses.

use std::borrow::Cow;

use email_address::{EmailAddress, Options};

use crate::debug::opaque_debug;
use crate::domain::{DomainError, canonical_host};
use crate::limits;
use crate::text_value::text_value;

/// The e-mail address of a customer in canonical form, at most 254 bytes.
///
/// The domain is in its ASCII form (`xn--…`), as mail servers send it, so that both spellings of an
/// internationalised domain are one customer. ASCII letters of the name are in lower case. Its other letters
/// stay, since lower-casing them could exceed the limit. Dots of the name can be anywhere
/// (`first..last@example.com`), because some mail providers issue such addresses.
///
/// ```
/// use license_core::license::CustomerEmail;
/// assert_eq!(CustomerEmail::parse(" Dev@Example.com ")?.as_str(), "dev@example.com");
/// assert_eq!(CustomerEmail::parse("dev@bücher.example")?.as_str(), "dev@xn--bcher-kva.example");
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
        let (name, host) = typed.rsplit_once('@').ok_or(EmailError::NoAddress)?;
        let host = canonical_host(host).map_err(|error| match error {
            DomainError::NameTooLong => EmailError::TooLong,
            _ => EmailError::NoAddress,
        })?;
        let options = Options::default().without_display_text().without_domain_literal();
        let checked = format!("{}@{host}", single_dots(name));
        EmailAddress::parse_with_options(&checked, options).map_err(|_| EmailError::NoAddress)?;
        if typed.chars().any(char::is_control) {
            return Err(EmailError::NoAddress);
        }
        let canonical = format!("{}@{host}", name.to_ascii_lowercase());
        if canonical.len() > limits::EMAIL_BYTES {
            return Err(EmailError::TooLong);
        }
        Ok(Self(canonical.into()))
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

    /// Returns the host after the last `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, host)| host)
    }

    /// Returns the canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(CustomerEmail, EmailError);

opaque_debug!(CustomerEmail);

/// Removes the dots of a name that RFC 5322 allows in quotes only.
fn single_dots(name: &str) -> Cow<'_, str> {
    if name.starts_with('"') || name.split('.').all(|part| !part.is_empty()) {
        return name.into();
    }
    name.split('.').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".").into()
}

/// The reason why a text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmailError {
    /// Longer than [`limits::EMAIL_BYTES`] as typed or in canonical form.
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
            ("jörg@example.com", Ok("jörg@example.com")),
            ("JÖRG@example.com", Ok("jÖrg@example.com")),
            ("\"John Doe\"@example.com", Ok("\"john doe\"@example.com")),
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

    #[test]
    fn dots_of_the_name_can_be_anywhere() {
        for typed in
            ["first..last@docomo.example", "name.@docomo.example", ".name@docomo.example", "a...b.@x.example"]
        {
            assert_eq!(CustomerEmail::parse(typed).unwrap().as_str(), typed);
        }
        for typed in [".@docomo.example", "...@docomo.example", "a@b..example", "a@.b.example", "@b.example"]
        {
            assert_eq!(CustomerEmail::parse(typed), Err(EmailError::NoAddress), "{typed}");
        }
    }

    #[test]
    fn spellings_of_a_mail_domain_are_one_customer() {
        for typed in [
            "dev@bücher.example",
            "dev@xn--bcher-kva.example",
            "dev@BÜCHER.example",
            "dev@Bu\u{308}cher.example",
            "dev@XN--BCHER-KVA.EXAMPLE",
            "dev@bücher。example",
            "dev@bücher．ｅｘａｍｐｌｅ",
            "DEV@bücher｡example.",
        ] {
            assert_eq!(CustomerEmail::parse(typed).unwrap().as_str(), "dev@xn--bcher-kva.example", "{typed}");
        }
        assert_eq!(CustomerEmail::parse("dev@www.example.com").unwrap().as_str(), "dev@www.example.com");
        for typed in ["dev@xn--a.example", "dev@-a.example", "dev@example.com/x", "dev＠example.com"] {
            assert_eq!(CustomerEmail::parse(typed), Err(EmailError::NoAddress), "{typed}");
        }
    }

    #[test]
    fn canonical_length_is_checked() {
        // Each `ü.` becomes `xn--tda.`: the host alone, and the whole address, grow beyond the limit.
        let address = |name: &str, labels| format!("{name}@{}example", "ü.".repeat(labels));
        assert_eq!(CustomerEmail::parse(&address("dev", 40)), Err(EmailError::TooLong));
        assert_eq!(CustomerEmail::parse(&address("longer12", 30)), Err(EmailError::TooLong));
        assert_eq!(CustomerEmail::parse(&address("longer", 30)).unwrap().as_str().len(), 254);
    }

    /// Stores read addresses back with the same parser.
    #[test]
    fn parsing_is_idempotent() {
        let longest = format!("{}@example.com", "İ".repeat(32));
        for typed in ["Dev@Example.com", "ΣΑΣ@example.com", "dev@Bücher.example", "a..b@ﬁ.example", &longest]
        {
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

//! The software that validates licenses.

use smol_str::SmolStr;

use crate::limits;
use crate::text_enum::display_as_str;

/// The name of the licensed software, with an optional version: `name` or `name/version` in printable ASCII.
///
/// ```
/// use license_core::usage::Client;
/// let client = Client::parse("Acme Editor/2.1.0")?;
/// assert_eq!((client.name(), client.version()), ("Acme Editor", Some("2.1.0")));
/// assert!(Client::parse("Acme Editor/").is_err());
/// # Ok::<(), license_core::usage::ClientError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(SmolStr);

impl Client {
    /// Parses the text, without surrounding white space.
    ///
    /// # Errors
    /// Returns [`ClientError`] if a part is missing or the text is too long or has other characters.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let text = text.trim();
        let mut parts = text.split('/');
        let (name, version, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        if text.len() > limits::CLIENT_BYTES {
            Err(ClientError::TooLong)
        } else if !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            Err(ClientError::NotPrintable)
        } else if name.trim().is_empty()
            || version.is_some_and(|text| text.trim().is_empty())
            || more.is_some()
        {
            Err(ClientError::Form)
        } else {
            Ok(Self(SmolStr::new(text)))
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(name, _)| name)
    }

    /// Returns the version, if given.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.0.split_once('/').map(|(_, version)| version)
    }

    /// Returns the whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

display_as_str!(Client);

/// The reason why a text is not a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Longer than [`limits::CLIENT_BYTES`].
    #[error("a client can have at most {} bytes", limits::CLIENT_BYTES)]
    TooLong,
    /// A character that is not printable ASCII.
    #[error("a client must be printable ASCII")]
    NotPrintable,
    /// A part is missing, or there are too many.
    #[error("a client must be a name, or a name, a slash and a version")]
    Form,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_is_a_name_with_optional_version() {
        let longest = "x".repeat(limits::CLIENT_BYTES);
        let too_long = format!("{longest}x");
        for (text, expected) in [
            ("editor", Ok(("editor", None))),
            (" Acme Editor/2.1.0-rc.1+7 ", Ok(("Acme Editor", Some("2.1.0-rc.1+7")))),
            (&longest, Ok((&*longest, None))),
            (&too_long, Err(ClientError::TooLong)),
            ("", Err(ClientError::Form)),
            (" ", Err(ClientError::Form)),
            ("/", Err(ClientError::Form)),
            ("/1", Err(ClientError::Form)),
            ("a/", Err(ClientError::Form)),
            ("a/ ", Err(ClientError::Form)),
            ("a/1/2", Err(ClientError::Form)),
            ("a\tb", Err(ClientError::NotPrintable)),
            ("a\0b", Err(ClientError::NotPrintable)),
            ("bücher", Err(ClientError::NotPrintable)),
        ] {
            let client = Client::parse(text);
            let found =
                client.as_ref().map(|client| (client.name(), client.version())).map_err(|error| *error);
            assert_eq!(found, expected, "{text:?}");
        }
    }

    /// Stored texts parse to the same client.
    #[test]
    fn text_parses_to_the_same_client() {
        let client = Client::parse("  a b / 1 ").expect("a client");
        assert_eq!(Client::parse(client.as_str()), Ok(client));
    }
}

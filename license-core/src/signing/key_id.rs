//! Ids of signing keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::text_enum::display_as_str;

/// The id of a signing key, the `kid` of tokens: the thumbprint of its public key (RFC 7638) as 43 symbols of
/// base64url.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SigningKeyId(String);

impl SigningKeyId {
    pub(super) fn from_thumbprint(thumbprint: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(thumbprint))
    }

    /// Parses an id. Does not check whether it exists.
    ///
    /// # Errors
    /// Returns [`SigningKeyIdError`] if the form is wrong.
    pub fn parse(text: &str) -> Result<Self, SigningKeyIdError> {
        let thumbprint = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        thumbprint.map(Self::from_thumbprint).ok_or(SigningKeyIdError)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

display_as_str!(SigningKeyId);

/// The text is not the id of a signing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a signing key has 43 letters, digits, hyphens and underscores")]
pub struct SigningKeyIdError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_parses_as_written() {
        let id = SigningKeyId::from_thumbprint([0xfb; 32]);
        assert_eq!(SigningKeyId::parse(id.as_str()), Ok(id.clone()));
        let text = id.as_str();
        for bad in
            ["", &text[1..], &format!("{text}A"), &text.replace('-', "+"), &format!("{}=", &text[..42])]
        {
            assert_eq!(SigningKeyId::parse(bad), Err(SigningKeyIdError), "{bad:?}");
        }
        // Bits beyond the last byte must be zero, so that an id has one text.
        let last = format!("{}t", &text[..42]);
        assert_eq!(SigningKeyId::parse(&last), Err(SigningKeyIdError));
    }
}

//! Nonces.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;
use crate::{base64url, limits};

/// A random value that binds an answer to its request. Its text is base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(Vec<u8>);

impl Nonce {
    /// Creates a nonce from random bytes. This crate has no random generator: take the bytes from that of the system,
    /// and never use them twice.
    ///
    /// ```
    /// use license_verify::Nonce;
    /// let random = [7; 16]; // from the generator of the system
    /// assert_eq!(Nonce::from_random(&random)?.to_text(), "BwcHBwcHBwcHBwcHBwcHBw");
    /// assert!(Nonce::from_random(&random[..15]).is_err());
    /// # Ok::<(), license_verify::Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`Error::NonceMalformed`] if there are fewer than 16 or more than 64 bytes.
    pub fn from_random(bytes: &[u8]) -> Result<Self, Error> {
        if (limits::NONCE_MIN_BYTES..=limits::NONCE_MAX_BYTES).contains(&bytes.len()) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(Error::NonceMalformed)
        }
    }

    /// Parses the text of a nonce.
    ///
    /// # Errors
    /// Returns [`Error::NonceMalformed`] if the text is not base64url of 16 to 64 bytes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::from_random(&base64url::decode(text).ok_or(Error::NonceMalformed)?)
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the nonce as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        base64url::encode(&self.0)
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

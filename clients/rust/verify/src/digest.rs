//! Digests in claims: of the device, and of the body of a request.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::base64url;

/// Separates digests of devices from all other digests.
const DEVICE_LABEL: &str = "license-device-v1";

/// A SHA-256 digest. Its text is base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Returns the digest of a device, the claim `fp` of a lease.
    ///
    /// It is SHA-256 over three texts: `license-device-v1`, the product, and the fingerprint without white space around
    /// it. Each text follows its length in bytes, as 4 bytes, highest first.
    ///
    /// ```
    /// use license_verify::Digest;
    /// let digest = Digest::of_device("editor", "8f14e45f-ceea-467f");
    /// assert_eq!(digest.to_text(), "Mm3cp1wo54uyhVUpWgNMHrbqGS-bQ-ooX2_SPZWKENU");
    /// ```
    #[must_use]
    pub fn of_device(product: &str, fingerprint: &str) -> Self {
        let mut hasher = Sha256::new();
        for text in [DEVICE_LABEL, product, fingerprint.trim()] {
            // A text of 4 GiB or more does not occur: a fingerprint has at most 255 bytes.
            hasher.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            hasher.update(text);
        }
        Self(hasher.finalize().into())
    }

    /// Returns the digest of the bytes of a request body, the claim `req` of a verdict.
    #[must_use]
    pub fn of_body(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }

    /// Returns the digest as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        base64url::encode(&self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digest = base64url::decode_array(&text).map(Self);
        digest.ok_or_else(|| serde::de::Error::custom("the digest must be base64url of 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn parts_of_a_device_cannot_be_shifted() {
        assert_ne!(Digest::of_device("edit", "or1"), Digest::of_device("editor", "1"));
        assert_ne!(Digest::of_device("", "editor1"), Digest::of_device("editor1", ""));
        assert_eq!(Digest::of_device("editor", " a \n"), Digest::of_device("editor", "a"));
    }

    #[test]
    fn digest_of_the_empty_body_is_sha_256() {
        assert_eq!(Digest::of_body(b"").to_text(), "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
    }
}

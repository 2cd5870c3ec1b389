//! Public keys.

use std::fmt;

use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::{base64url, json, limits};

/// A public key of Ed25519.
///
/// ```
/// use license_verify::PublicKey;
/// let key = PublicKey::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")?;
/// assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
/// # Ok::<(), license_verify::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: String,
}

/// The JSON form of a key (RFC 8037). It has no `alg`: the algorithm is Ed25519 because the key is.
#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default, skip_serializing)]
    alg: Option<String>,
    #[serde(default, skip_serializing)]
    d: Option<serde_json::Value>,
}

impl PublicKey {
    /// Parses the 32 bytes of a key as base64url.
    ///
    /// # Errors
    /// Returns [`Error::KeyMalformed`] if the text is not a point of the curve in its only form, and
    /// [`Error::WeakKey`] if the point has a small order.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes =
            base64url::decode_array(text).ok_or(Error::KeyMalformed("it must be base64url of 32 bytes"))?;
        Self::from_bytes(&bytes)
    }

    /// Creates a key from its 32 bytes.
    ///
    /// # Errors
    /// As [`PublicKey::parse`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        let no_point = Error::KeyMalformed("it is not a point of the curve");
        let Ok(key) = VerifyingKey::from_bytes(bytes) else { return Err(no_point) };
        if key.is_weak() {
            return Err(Error::WeakKey);
        }
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(no_point);
        }
        let x = base64url::encode(bytes);
        // RFC 7638 and RFC 8037: the required members in the order of their names, without spaces.
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Ok(Self { key, id: base64url::encode(&Sha256::digest(members)) })
    }

    /// Parses a key as JWK.
    ///
    /// # Errors
    /// As [`PublicKey::parse`]. Also returns [`Error::KeyMalformed`] if the JWK is of another kind, has a private part,
    /// or has a `kid` that is not its thumbprint.
    pub fn from_jwk(text: &str) -> Result<Self, Error> {
        let malformed = Error::KeyMalformed("it is not a JWK with kty, crv and x");
        if text.len() > limits::JWK_BYTES {
            return Err(malformed);
        }
        json::parse(text.as_bytes()).ok_or(malformed).and_then(|jwk| Self::from_parts(&jwk))
    }

    /// Parses a key of a list of keys, in which duplicate names were refused before.
    pub(crate) fn from_value(value: serde_json::Value) -> Result<Self, Error> {
        let jwk = serde_json::from_value(value).map_err(|_| Error::KeyMalformed("it is not a JWK"))?;
        Self::from_parts(&jwk)
    }

    fn from_parts(jwk: &Jwk) -> Result<Self, Error> {
        if jwk.d.is_some() {
            return Err(Error::KeyMalformed("it has the private part d: publish the key without it"));
        }
        if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
            return Err(Error::KeyMalformed("it must have the kty OKP and the crv Ed25519"));
        }
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(Error::KeyMalformed("its use must be sig"));
        }
        if jwk.alg.as_deref().is_some_and(|alg| alg != "EdDSA" && alg != "Ed25519") {
            return Err(Error::KeyMalformed("its alg must be EdDSA or Ed25519, or absent"));
        }
        let key = Self::parse(&jwk.x)?;
        if jwk.kid.as_ref().is_some_and(|id| *id != key.id) {
            return Err(Error::KeyMalformed("its kid must be its thumbprint"));
        }
        Ok(key)
    }

    /// Returns the key id, which is the thumbprint of RFC 7638.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the 32 bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Returns the key as JWK.
    #[must_use]
    pub fn to_jwk(&self) -> String {
        json::to_text(&Jwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x: base64url::encode(self.as_bytes()),
            kid: Some(self.id.clone()),
            usage: Some("sig".to_owned()),
            alg: None,
            d: None,
        })
    }

    /// Returns whether `signature` is the signature of `message` by this key.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("PublicKey").field(&self.id).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::PublicKey;
    use crate::base64url;
    use crate::error::Error;

    /// RFC 8037, appendix A.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    #[test]
    fn key_of_rfc_8037_has_its_thumbprint() {
        let key = PublicKey::parse(X).unwrap();
        assert_eq!(key.id(), THUMBPRINT);
        let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","kid":"{THUMBPRINT}","use":"sig"}}"#);
        assert_eq!(key.to_jwk(), jwk);
        assert_eq!(PublicKey::from_jwk(&jwk), Ok(key));
    }

    #[test]
    fn small_orders_are_weak_in_every_encoding() {
        // All points of small order of curve25519, then their encodings that are not canonical.
        let weak = [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ];
        for hex in weak {
            let bytes: Vec<u8> =
                (0..32).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
            assert_eq!(PublicKey::from_bytes(&bytes.try_into().unwrap()), Err(Error::WeakKey), "{hex}");
        }
    }

    #[test]
    fn other_encoding_of_a_point_is_malformed() {
        // y = 3 + p is the same point as y = 3, which has a large order.
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (0xf0, 0x7f);
        assert!(matches!(PublicKey::from_bytes(&bytes), Err(Error::KeyMalformed(_))));
        let mut canonical = [0; 32];
        canonical[0] = 3;
        assert!(PublicKey::from_bytes(&canonical).is_ok());
        // y = 2 is on no point.
        canonical[0] = 2;
        assert!(matches!(PublicKey::from_bytes(&canonical), Err(Error::KeyMalformed(_))));
    }

    #[test]
    fn other_jwks_are_malformed() {
        let d = base64url::encode(&[1; 32]);
        let jwks = [
            format!(r#"{{"kty":"EC","crv":"Ed25519","x":"{X}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"X25519","x":"{X}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}="}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","x":"{X}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","d":"{d}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","kid":"{X}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","use":"enc"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","alg":"HS256"}}"#),
            r#"{"kty":"OKP","crv":"Ed25519"}"#.to_owned(),
            format!(r#"["{X}"]"#),
            X.to_owned(),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","pad":"{}"}}"#, "x".repeat(5_000)),
        ];
        for jwk in jwks {
            assert!(matches!(PublicKey::from_jwk(&jwk), Err(Error::KeyMalformed(_))), "{jwk}");
        }
    }
}

//! Tokens: JWS in compact form (RFC 7515), signed by Ed25519 (RFC 8037).

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::key_set::KeySet;
use crate::{base64url, json, limits};

/// The types of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// A lease: the software may run until a time.
    Lease,
    /// The answer to one validation.
    Verdict,
    /// The list of revoked leases.
    Revocations,
    /// New keys, and revoked ones.
    Keys,
}

impl TokenType {
    /// Returns the value of the header `typ`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lease => "license-lease+jwt",
            Self::Verdict => "license-verdict+jwt",
            Self::Revocations => "license-revocations+jwt",
            Self::Keys => "license-keys+jwt",
        }
    }

    /// Returns the length of the longest token of this type, in bytes.
    #[must_use]
    pub fn max_bytes(self) -> usize {
        match self {
            Self::Revocations => limits::REVOCATIONS_BYTES,
            Self::Lease | Self::Verdict | Self::Keys => limits::TOKEN_BYTES,
        }
    }
}

/// The header. A parameter that is not listed here, such as `crit`, `jwk` or `x5u`, is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// Claims of every token.
#[derive(Deserialize)]
struct CommonClaims {
    aud: String,
}

/// Verifies a token of one type and product, and returns its claims.
///
/// The algorithm is that of the key. `alg` is only compared, so that a token for another algorithm has its own error.
pub(crate) fn verify<C: DeserializeOwned>(
    token: &str,
    expected: TokenType,
    keys: &KeySet,
    product: &str,
) -> Result<C, Error> {
    let limit = expected.max_bytes();
    if token.len() > limit {
        return Err(Error::TokenTooLong { limit });
    }
    let (signed, signature) =
        token.rsplit_once('.').ok_or(Error::TokenMalformed("it must have three parts"))?;
    let (header, payload) =
        signed.split_once('.').ok_or(Error::TokenMalformed("it must have three parts"))?;
    if payload.contains('.') {
        return Err(Error::TokenMalformed("it must have three parts"));
    }

    let header = base64url::decode(header).ok_or(Error::TokenMalformed("the header is not base64url"))?;
    let header: Header = json::parse(&header).ok_or(Error::TokenMalformed(
        "the header must be a JSON object with alg, typ and kid, and no other name",
    ))?;
    if header.alg != "EdDSA" && header.alg != "Ed25519" {
        return Err(Error::AlgorithmRefused);
    }
    if header.typ != expected.as_str() {
        return Err(Error::WrongType { expected: expected.as_str() });
    }
    let key = keys.get(&header.kid)?;
    let signature = base64url::decode_array(signature)
        .ok_or(Error::TokenMalformed("the signature is not base64url of 64 bytes"))?;
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err(Error::BadSignature);
    }

    let payload = base64url::decode(payload).ok_or(Error::TokenMalformed("the claims are not base64url"))?;
    let claims = json::parse_object(&payload)
        .ok_or(Error::TokenMalformed("the claims must be a JSON object without duplicate names"))?;
    let claims = serde_json::Value::Object(claims);
    let common =
        CommonClaims::deserialize(&claims).map_err(|_| Error::ClaimsMalformed("aud must be one text"))?;
    if common.aud != product {
        return Err(Error::WrongProduct);
    }
    serde_json::from_value(claims)
        .map_err(|_| Error::ClaimsMalformed("a claim is missing or has a wrong form"))
}

//! Verdicts: the answers to validations.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::Error;
use crate::feature::Features;
use crate::key_set::KeySet;
use crate::nonce::Nonce;
use crate::time::{optional_seconds, seconds};
use crate::token::{self, TokenType};

/// The claims of a verified verdict. All times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// The issuer: the public URL of the server, unless it has another name.
    pub iss: String,
    /// The product that the request named.
    pub aud: String,
    /// The nonce of the request.
    pub nonce: Nonce,
    /// The digest of the bytes of the request body.
    pub req: Digest,
    /// The HTTP status of the answer.
    pub status: u16,
    /// Whether the software may run.
    pub valid: bool,
    /// The code of the denial; null if the verdict is valid.
    #[serde(deserialize_with = "Option::deserialize")]
    pub error: Option<String>,
    /// The features of the license; empty if the verdict is not valid.
    pub features: Features,
    /// The product of the license; null if there is no license, or it is for another product.
    #[serde(deserialize_with = "Option::deserialize")]
    pub product: Option<String>,
    /// The end of the license, its grace included; null if it has none.
    #[serde(deserialize_with = "optional_seconds")]
    pub lic_exp: Option<i64>,
    /// The time of the answer.
    #[serde(deserialize_with = "seconds")]
    pub iat: i64,
    /// The time from which the software asks again.
    #[serde(deserialize_with = "seconds")]
    pub exp: i64,
}

/// A verdict with the proof that the server answered this request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenVerdict {
    token: String,
    verdict: Verdict,
}

impl ProvenVerdict {
    /// Verifies the proof of an answer to the request with this nonce and these bytes of the body.
    ///
    /// The nonce makes the answer fresh, so the clock of this machine does not matter.
    ///
    /// # Errors
    /// Returns the first reason why the proof is not accepted.
    pub fn verify(
        token: &str,
        keys: &KeySet,
        product: &str,
        nonce: &Nonce,
        request_body: &[u8],
    ) -> Result<Self, Error> {
        let verdict = Verdict::read(token, keys, product)?;
        if verdict.nonce != *nonce {
            return Err(Error::WrongNonce);
        }
        if verdict.req != Digest::of_body(request_body) {
            return Err(Error::WrongRequest);
        }
        Ok(Self { token: token.to_owned(), verdict })
    }

    /// Returns the claims.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Returns the token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl Verdict {
    /// Verifies the signature, the type and the product.
    pub(crate) fn read(token: &str, keys: &KeySet, product: &str) -> Result<Self, Error> {
        let verdict: Self = token::verify(token, TokenType::Verdict, keys, product)?;
        if verdict.valid != verdict.error.is_none() {
            return Err(Error::ClaimsMalformed(
                "error must be a text if valid is false, and null if it is true",
            ));
        }
        if verdict.valid && verdict.product.as_deref() != Some(product) {
            return Err(Error::ClaimsMalformed("product must equal aud if valid is true"));
        }
        if verdict.exp <= verdict.iat {
            return Err(Error::ClaimsMalformed("exp must be after iat"));
        }
        Ok(verdict)
    }
}

//! Request codes: how a machine without a network asks for a lease.

use std::fmt;

use crate::code_text;
use crate::error::Error;
use crate::limits;
use crate::nonce::Nonce;

const PREFIX: &str = "LREQ1";

/// A request for a lease, as text or QR code: `LREQ1-…`.
///
/// It contains the license key: never write it to logs, and never pass it in the arguments of a program.
///
/// ```
/// use license_verify::{Nonce, RequestCode};
/// let nonce = Nonce::from_random(&[7; 16])?;
/// let code = RequestCode::new("editor", "TO-KG5R-ZJ6N-N7RN-EGAX", "8f14e45f", nonce)?;
/// assert!(code.to_text().starts_with("LREQ1-"));
/// assert_eq!(RequestCode::parse(&code.to_text())?, code);
/// # Ok::<(), license_verify::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestCode {
    /// The product.
    pub product: String,
    /// The license key.
    pub key: String,
    /// The fingerprint of the device.
    pub fingerprint: String,
    /// The nonce that the lease repeats.
    pub nonce: Nonce,
}

impl RequestCode {
    /// Creates a code.
    ///
    /// # Errors
    /// Returns [`Error::CodeMalformed`] if a part is empty or too long: the fingerprint can have 64 bytes, the others 255.
    pub fn new(product: &str, key: &str, fingerprint: &str, nonce: Nonce) -> Result<Self, Error> {
        let fingerprint = fingerprint.trim();
        if [product, key, fingerprint].iter().any(|part| part.is_empty()) {
            return Err(Error::CodeMalformed("a part is empty"));
        }
        if fingerprint.len() > limits::CODE_FINGERPRINT_BYTES {
            return Err(Error::CodeMalformed("the fingerprint is longer than 64 bytes"));
        }
        if [product, key].iter().any(|part| part.len() > limits::CODE_PART_BYTES) {
            return Err(Error::CodeMalformed("a part is longer than 255 bytes"));
        }
        let [product, key, fingerprint] = [product, key, fingerprint].map(str::to_owned);
        Ok(Self { product, key, fingerprint, nonce })
    }

    /// Parses a code. Case, spaces and dashes do not matter.
    ///
    /// # Errors
    /// Returns [`Error::CodeMalformed`] if the text is no request code, or has a typo.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let [product, key, fingerprint, nonce] = code_text::decode(PREFIX, text)?;
        let nonce = Nonce::from_random(&nonce)
            .map_err(|_| Error::CodeMalformed("its nonce is too short or too long"))?;
        let [product, key, fingerprint] = [product, key, fingerprint].map(code_text::text_of);
        Self::new(&product?, &key?, &fingerprint?, nonce)
    }

    /// Returns the code as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let parts = [
            self.product.as_bytes(),
            self.key.as_bytes(),
            self.fingerprint.as_bytes(),
            self.nonce.as_bytes(),
        ];
        // The parts of a code are never longer than 255 bytes.
        code_text::encode(PREFIX, &parts).unwrap_or_default()
    }
}

/// Does not show the key.
impl fmt::Debug for RequestCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RequestCode").field("product", &self.product).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::RequestCode;
    use crate::nonce::Nonce;

    #[test]
    fn parts_are_limited_at_the_edge() {
        let nonce = |length| Nonce::from_random(&vec![1; length]).unwrap();
        let long = |length: usize| "é".repeat(length / 2) + &"x".repeat(length % 2);
        let code = RequestCode::new(&long(255), &long(255), &long(64), nonce(64)).unwrap();
        assert_eq!(RequestCode::parse(&code.to_text()), Ok(code));
        assert!(RequestCode::new(&long(256), "k", "f", nonce(16)).is_err());
        assert!(RequestCode::new("p", &long(256), "f", nonce(16)).is_err());
        assert!(RequestCode::new("p", "k", &long(65), nonce(16)).is_err());
        for [product, key, fingerprint] in [["", "k", "f"], ["p", "", "f"], ["p", "k", " "]] {
            assert!(RequestCode::new(product, key, fingerprint, nonce(16)).is_err());
        }
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let code =
            RequestCode::new("editor", "TO-SECRET", "f", Nonce::from_random(&[1; 16]).unwrap()).unwrap();
        assert!(!format!("{code:?}").contains("SECRET"));
    }
}

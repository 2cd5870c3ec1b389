//! Release codes: how a machine without a network hands back its lease.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::code_text;
use crate::error::Error;
use crate::{base64url, limits};

const PREFIX: &str = "LREL1";
const MAC_LABEL: &[u8] = b"license-release-v1";
const MAC_BYTES: usize = 16;

/// The proof that a client has handed back its lease: `LREL1-…`.
///
/// It has the id of the lease, and the first 16 bytes of HMAC-SHA-256 over `license-release-v1` and the id. The key is
/// the signature of the lease, which only the owner of the lease and the server know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReleaseCode {
    /// The id of the lease.
    pub jti: String,
    mac: Vec<u8>,
}

impl ReleaseCode {
    /// Creates the code for a lease with this id and this token.
    ///
    /// # Errors
    /// Returns [`Error::TokenMalformed`] if the token has no signature, and [`Error::CodeMalformed`] if the id is empty
    /// or longer than 255 bytes.
    pub fn new(jti: &str, lease: &str) -> Result<Self, Error> {
        if jti.is_empty() || jti.len() > limits::CODE_PART_BYTES {
            return Err(Error::CodeMalformed("the id of a lease must have 1 to 255 bytes"));
        }
        let mac = mac(jti, lease)?.finalize().into_bytes().iter().copied().take(MAC_BYTES).collect();
        Ok(Self { jti: jti.to_owned(), mac })
    }

    /// Parses a code. Case, spaces and dashes do not matter.
    ///
    /// # Errors
    /// Returns [`Error::CodeMalformed`] if the text is no release code, or has a typo.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let [jti, mac] = code_text::decode(PREFIX, text)?;
        if jti.is_empty() || mac.len() != MAC_BYTES {
            return Err(Error::CodeMalformed("it has other parts"));
        }
        Ok(Self { jti: code_text::text_of(jti)?, mac })
    }

    /// Returns the code as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        // The parts of a code are never longer than 255 bytes.
        code_text::encode(PREFIX, &[self.jti.as_bytes(), &self.mac]).unwrap_or_default()
    }

    /// Returns whether the owner of this lease made the code. The server calls this with the token that it issued.
    #[must_use]
    pub fn is_from(&self, lease: &str) -> bool {
        mac(&self.jti, lease).is_ok_and(|mac| mac.verify_truncated_left(&self.mac).is_ok())
    }
}

fn mac(jti: &str, lease: &str) -> Result<Hmac<Sha256>, Error> {
    let signature =
        lease.rsplit_once('.').and_then(|(_, signature)| base64url::decode_array::<64>(signature));
    let signature = signature.ok_or(Error::TokenMalformed("the signature is not base64url of 64 bytes"))?;
    let mac = Hmac::<Sha256>::new_from_slice(&signature).map_err(|_| Error::BadSignature)?;
    Ok(mac.chain_update(MAC_LABEL).chain_update(jti))
}

#[cfg(test)]
mod tests {
    use super::ReleaseCode;
    use crate::base64url;

    #[test]
    fn code_is_from_its_lease_only() {
        let lease = |byte| format!("e30.e30.{}", base64url::encode(&[byte; 64]));
        let code = ReleaseCode::new("lse_1", &lease(1)).unwrap();
        let read = ReleaseCode::parse(&code.to_text()).unwrap();
        assert_eq!(read, code);
        assert!(read.is_from(&lease(1)));
        assert!(!read.is_from(&lease(2)));
        assert!(!read.is_from("e30.e30.AA"));
        let other = ReleaseCode { jti: "lse_2".to_owned(), ..code };
        assert!(!other.is_from(&lease(1)), "the id is bound");
    }
}

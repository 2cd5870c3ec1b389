//! Signers of tokens: the place of the private key.

use std::error::Error;
use std::fmt;

use async_trait::async_trait;

use super::{PublicKey, SigningKeyPair};

/// Signs tokens with one Ed25519 key, such as that of a hardware security module or a key management service.
///
/// Without one, the active key of the database signs. With one, tokens, the JSON Web Key Set and key tokens have
/// only its public key.
#[async_trait]
pub trait TokenSigner: fmt::Debug + Send + Sync + 'static {
    /// Returns the public key, always the same.
    fn public_key(&self) -> PublicKey;

    /// Signs a message by Ed25519 (RFC 8032). Callers of the API wait for it, so it must fail rather than hang.
    ///
    /// # Errors
    /// Returns [`SignerError`] if the key cannot be used. The caller of the API gets an error that a retry can help.
    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError>;
}

#[async_trait]
impl TokenSigner for SigningKeyPair {
    fn public_key(&self) -> PublicKey {
        self.public()
    }

    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        Ok(Self::sign(self, message))
    }
}

/// A signer could not sign.
#[derive(Debug, thiserror::Error)]
#[error("the signer of tokens failed")]
pub struct SignerError(#[source] Box<dyn Error + Send + Sync>);

impl SignerError {
    /// Wraps the cause, which goes to the log.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

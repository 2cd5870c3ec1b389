//! Requests for a signed verdict.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::Nonce;

/// A validation request for whose answer the software wants a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofRequest {
    /// The nonce of the request.
    pub nonce: Nonce,
    /// SHA-256 over the bytes of the request body.
    pub body_digest: [u8; 32],
    /// The time before the validation, so that no proof is newer than the state of the license that it shows.
    pub received_at: DateTime<Utc>,
}

impl ProofRequest {
    /// Creates the request for these bytes of a body, exactly as they were received.
    #[must_use]
    pub fn new(nonce: Nonce, body: &[u8], received_at: DateTime<Utc>) -> Self {
        Self { nonce, body_digest: Sha256::digest(body).into(), received_at }
    }
}

//! Signing keys: the Ed25519 keys of tokens, which software verifies without the server.
//!
//! One key is active and signs. The next key is published before it signs, so that software can learn it. A
//! key that was replaced is retiring until the longest token that it signed has ended.

mod command;
mod key;
mod key_id;
mod key_pair;
mod key_set;
mod key_token_claims;
mod nonce;
mod proof_request;
mod proven_answer;
mod revocation_claims;
mod signer;
mod token;
#[cfg(test)]
mod vectors;
mod verdict_claims;

pub use command::{
    NewSigningKey, SigningKeyChanges, SigningKeyCommand, SigningKeyContext, SigningKeyDecision,
    SigningKeyDenial, SigningKeyOutcome, decide_signing_keys,
};
pub use key::{SigningKey, SigningKeyState};
pub use key_id::{SigningKeyId, SigningKeyIdError};
pub use key_pair::{PublicKey, PublicKeyError, SigningKeyPair};
pub use key_set::SigningKeySet;
pub use key_token_claims::{KEY_TOKEN_LIFETIME, KeyTokenClaims};
pub use nonce::{Nonce, NonceError};
pub use proof_request::ProofRequest;
pub use proven_answer::ProvenAnswer;
pub use revocation_claims::RevocationClaims;
pub use signer::{SignerError, TokenSigner};
pub(crate) use token::sign_claims;
pub use token::{TokenAlgorithm, TokenType, sign_token};
pub use verdict_claims::{VerdictClaims, end_of_license};

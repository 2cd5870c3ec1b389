//! Signing keys: the Ed25519 keys of tokens, which software verifies without the server.
//!
//! One key is active and signs. The next key is published before it signs, so that software can learn it. A key
//! that was replaced is retiring until the longest token that it signed has ended.

mod command;
mod key;
mod key_id;
mod key_pair;
mod key_set;

pub use command::{
    NewSigningKey, SigningKeyChanges, SigningKeyCommand, SigningKeyContext, SigningKeyDecision,
    SigningKeyDenial, SigningKeyOutcome, decide_signing_keys,
};
pub use key::{SigningKey, SigningKeyState};
pub use key_id::{SigningKeyId, SigningKeyIdError};
pub use key_pair::{PublicKey, PublicKeyError, SigningKeyPair};
pub use key_set::SigningKeySet;

//! Settings of tokens.

use std::sync::Arc;

use crate::debug::partial_debug;
use crate::signing::{TokenAlgorithm, TokenSigner};

/// Issuer of tokens, if none is set.
const DEFAULT_ISSUER: &str = "license-server";

/// Settings of tokens.
#[derive(Clone)]
pub(super) struct TokenSettings {
    pub(super) issuer: String,
    pub(super) algorithm: TokenAlgorithm,
    /// The signer in place of the keys of the database.
    pub(super) signer: Option<Arc<dyn TokenSigner>>,
}

partial_debug!(TokenSettings { issuer, algorithm, signer });

impl Default for TokenSettings {
    fn default() -> Self {
        Self { issuer: DEFAULT_ISSUER.to_owned(), algorithm: TokenAlgorithm::EdDsa, signer: None }
    }
}

//! The storage port of signing keys.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;
use crate::signing::{SigningKeyCommand, SigningKeyContext, SigningKeyOutcome, SigningKeySet};

/// Stores signing keys.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait SigningKeyStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the signing keys, or `None` if their [revision](SigningKeySet::revision) is `known`.
    async fn load_signing_keys(&self, known: u64) -> Result<Option<SigningKeySet>, StoreError>;

    /// Executes a command on the signing keys, exclusively: locks them, reads them, calls
    /// [`decide_signing_keys`](crate::signing::decide_signing_keys), writes the changes and the audit entry,
    /// announces [`SigningKeysChanged`](super::ChangeNotice::SigningKeysChanged) and commits. A denial is not
    /// an error.
    async fn execute_signing_keys(
        &self,
        command: &SigningKeyCommand,
        context: &SigningKeyContext,
    ) -> Result<SigningKeyOutcome, StoreError>;
}

//! Implements `SigningKeyStore`.

use std::sync::Arc;

use async_trait::async_trait;
use license_core::signing::{
    SigningKeyCommand, SigningKeyContext, SigningKeyDecision, SigningKeyOutcome, SigningKeySet,
    decide_signing_keys,
};
use license_core::store::{ChangeNotice, SigningKeyStore};

use super::store::MemoryStore;
use crate::Result;

#[async_trait]
impl SigningKeyStore for MemoryStore {
    async fn load_signing_keys(&self, known: u64) -> Result<Option<SigningKeySet>> {
        let set = Arc::clone(&self.data().signing_keys);
        Ok((set.revision() != known).then(|| (*set).clone()))
    }

    async fn execute_signing_keys(
        &self,
        command: &SigningKeyCommand,
        context: &SigningKeyContext,
    ) -> Result<SigningKeyOutcome> {
        let mut data = self.data();
        let SigningKeyDecision { outcome, changes } =
            decide_signing_keys(&data.signing_keys, command, context);
        if let Some(changes) = changes {
            data.signing_keys = changes.set;
            data.audit.extend(&changes.audit);
            self.feed.notify(ChangeNotice::SigningKeysChanged);
        }
        Ok(outcome)
    }
}

//! Loads and stores the trial keys of other databases, whose claims were imported.

use super::context::ServiceContext;
use crate::store::{StoreError, TransferStore};
use crate::trial::TrialKey;

/// Prefix of the settings that hold trial keys of other databases; the rest is the id of the key.
const TRIAL_KEY_PREFIX: &str = "trial_key/";

impl ServiceContext {
    /// Reloads the trial keys of other databases, because an import may have stored one.
    ///
    /// # Errors
    /// Returns the store's error, and [`StoreError::Corrupt`] if a key does not open; known keys are kept.
    pub(super) async fn reload_trial_keys(&self, store: &dyn TransferStore) -> Result<(), StoreError> {
        let stored = store.settings_with_prefix(TRIAL_KEY_PREFIX).await?;
        let keys = stored.iter().map(|(name, sealed)| {
            let id = name.strip_prefix(TRIAL_KEY_PREFIX).unwrap_or_default();
            self.vault.open_trial_key(sealed, id).map(TrialKey::from_bytes).ok_or_else(|| {
                StoreError::Corrupt {
                    table: "settings",
                    column: "value",
                    id: name.clone(),
                    source: "the sealed trial key does not open".into(),
                }
            })
        });
        self.set_imported_trial_keys(keys.collect::<Result<Vec<_>, _>>()?);
        Ok(())
    }

    /// Stores the trial key of another database, sealed, unless it is stored or is that of this database.
    pub(super) async fn store_trial_key(
        &self,
        store: &dyn TransferStore,
        key: &TrialKey,
    ) -> Result<(), crate::error::ServiceError> {
        let id = key.id();
        if self.trial_keys().iter().any(|known| known.id() == id) {
            return Ok(());
        }
        let sealed = self.sources.with_rng(|rng| self.vault.seal_trial_key(key.as_bytes(), &id, rng))?;
        store.declare_setting(&format!("{TRIAL_KEY_PREFIX}{id}"), &sealed, None).await?;
        self.reload_trial_keys(store).await?;
        Ok(())
    }
}

//! Health of the store and of the layers in front of it.

use std::sync::Arc;

use crate::metrics::Metric;
use crate::store::{DatabaseInfo, HealthWarning, StoreError, StoreHealth};

/// Combines the health of the store and of the layers in front of it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<[Arc<dyn StoreHealth>]>);

impl Health {
    /// Combines several layers.
    #[must_use]
    pub fn new(layers: impl IntoIterator<Item = Arc<dyn StoreHealth>>) -> Self {
        Self(layers.into_iter().collect())
    }

    /// Returns whether a layer knows that the database is unreachable, so that answers come from memory.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.0.iter().any(|layer| layer.is_down())
    }

    /// Returns the warnings of all layers, each once, in the order of [`HealthWarning::ALL`].
    #[must_use]
    pub fn warnings(&self) -> Vec<HealthWarning> {
        let mut warnings: Vec<_> = self.0.iter().flat_map(|layer| layer.warnings()).collect();
        warnings.sort_unstable();
        warnings.dedup();
        warnings
    }

    /// Returns what the first layer with a database tells about it.
    ///
    /// # Errors
    /// Returns the error of the store if the database does not answer.
    pub async fn database(&self) -> Result<DatabaseInfo, StoreError> {
        for layer in self.0.iter() {
            if let Some(database) = layer.database().await? {
                return Ok(database);
            }
        }
        Ok(DatabaseInfo::default())
    }

    /// Returns the metrics of all layers.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        self.0.iter().flat_map(|layer| layer.metrics()).collect()
    }
}

//! The catalog by which this node decides.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::catalog::PlanCatalog;
use crate::store::{CatalogStore, StoreError};

/// The catalog by which this node decides: the newest one that it has seen.
pub(super) struct CurrentCatalog {
    current: RwLock<Arc<PlanCatalog>>,
    /// `None` if the catalog is in code only.
    store: Option<Arc<dyn CatalogStore>>,
}

impl fmt::Debug for CurrentCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentCatalog").field("revision", &self.get().revision()).finish_non_exhaustive()
    }
}

impl CurrentCatalog {
    pub(super) fn in_code(catalog: PlanCatalog) -> Self {
        Self { current: RwLock::new(Arc::new(catalog)), store: None }
    }

    pub(super) fn stored(store: Arc<dyn CatalogStore>) -> Self {
        Self { current: RwLock::default(), store: Some(store) }
    }

    pub(super) fn get(&self) -> Arc<PlanCatalog> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the catalog, unless a newer one was seen meanwhile.
    pub(super) fn replace(&self, catalog: Arc<PlanCatalog>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if catalog.revision() > current.revision() {
            *current = catalog;
        }
    }

    /// Reads the catalog again if it has changed.
    pub(super) async fn reload(&self) -> Result<(), StoreError> {
        if let Some(store) = &self.store
            && let Some(catalog) = store.load_catalog(self.get().revision()).await?
        {
            self.replace(Arc::new(catalog));
        }
        Ok(())
    }

    /// Returns a newer catalog than `seen`, which lacked a plan, if there is one.
    pub(super) async fn newer_than(
        &self,
        seen: &PlanCatalog,
    ) -> Result<Option<Arc<PlanCatalog>>, StoreError> {
        if self.get().revision() <= seen.revision() {
            self.reload().await?;
        }
        Ok(Some(self.get()).filter(|current| current.revision() > seen.revision()))
    }
}

//! The port of plans.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;

/// Knows which plans are in use.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait CatalogStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the names of all plans that licenses have, each once, in any order.
    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError>;
}

//! The storage port of plans.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;

/// Lists the plans that are in use.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait CatalogStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the names of the plans of all licenses that are not revoked, each once, in any order.
    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError>;
}

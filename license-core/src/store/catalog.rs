//! The storage port of products and plans.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::catalog::PlanCatalog;
use crate::catalog_command::{CatalogCommand, CatalogContext, CatalogOutcome};
use crate::license::Status;

/// Stores products and plans, and counts licenses.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait CatalogStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the catalog, or `None` if its [revision](PlanCatalog::revision) is `known`. A new database has
    /// the [default catalog](PlanCatalog::default).
    async fn load_catalog(&self, known: u64) -> Result<Option<PlanCatalog>, StoreError>;

    /// Executes a command on the catalog, exclusively: locks the catalog, reads it, calls
    /// [`decide_catalog`](crate::catalog_command::decide_catalog), writes the changes and the audit entries,
    /// announces [`CatalogChanged`](super::ChangeNotice::CatalogChanged) and commits.
    ///
    /// No other `execute_catalog`, on any handle, runs between the read and the commit. A denial is not an
    /// error.
    async fn execute_catalog(
        &self,
        command: &CatalogCommand,
        context: &CatalogContext,
    ) -> Result<CatalogOutcome, StoreError>;

    /// Counts the licenses of each plan and status at `now`, in any order. Empty groups may be missing.
    async fn count_licenses(&self, now: DateTime<Utc>) -> Result<Vec<LicenseCount>, StoreError>;
}

/// The number of licenses of one plan with one status.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LicenseCount {
    /// Name of the plan.
    pub plan: String,
    /// The status.
    pub status: Status,
    /// Number of licenses.
    pub count: u64,
}

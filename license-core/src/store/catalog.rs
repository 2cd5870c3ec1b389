//! The storage port of plans.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::license::Status;

/// Lists the plans that are in use, and counts licenses.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait CatalogStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the names of the plans of all licenses that are not revoked, each once, in any order.
    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError>;

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

//! The storage port of usage reports.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Page, PageRequest, StoreError};
use crate::license::LicenseId;
use crate::usage::{Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport, UsageRetention};

/// Reports recorded validations.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait UsageStore: fmt::Debug + Send + Sync + 'static {
    /// Reports the usage of one license: the [sources of the query](UsageQuery::sources), and [what is
    /// kept](UsageReport::kept), all read in one snapshot. Empty intervals are left out of the series.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if no license has this id.
    async fn report(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError>;

    /// Reports the usage of all licenses, as [`report`](Self::report) does for one.
    async fn overview(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError>;

    /// Lists rollups that match, ordered by key. They always equal the
    /// [`roll_up`](crate::usage::roll_up) of all recorded validations, except for pruned days. The cursor is
    /// the last key of a page.
    async fn list_rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError>;

    /// Deletes validations and rollups that `retention` does not keep at `now`, at most `limit` of each.
    /// Returns the number of deleted rows; a store may delete fewer than `limit` per call. Call repeatedly
    /// until it returns 0. Totals of all time keep the counts of deleted rollups.
    async fn prune_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError>;
}

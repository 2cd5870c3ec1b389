//! Reports and retention of usage.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::context::ServiceContext;
use crate::error::ServiceError;
use crate::license::LicenseId;
use crate::store::{Page, PageRequest, UsageStore};
use crate::usage::{Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport, UsageRetention};

/// Reports recorded validations.
#[derive(Clone, Debug)]
pub struct UsageService {
    pub(super) store: Arc<dyn UsageStore>,
    pub(super) context: Arc<ServiceContext>,
}

impl UsageService {
    /// Reports the usage of a license. The series includes intervals without validations. A range without an
    /// end ends after tomorrow, because later validations were recorded by a clock that was ahead.
    ///
    /// # Errors
    /// Returns [`ServiceError::Usage`] if the query asks for data that is not kept or for too many intervals,
    /// and [`ServiceError::NotFound`] if there is no such license.
    pub async fn report(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, ServiceError> {
        let now = self.context.now();
        query.intervals(None, None, now)?; // Rejects impossible queries before the store works.
        let mut report = self.store.report(id, &query.bounded(now)).await?;
        query.check(&report.kept)?;
        report.fill(query, now)?;
        Ok(report)
    }

    /// Reports the usage of all licenses.
    ///
    /// # Errors
    /// Returns [`ServiceError::Usage`] as [`report`](Self::report).
    pub async fn overview(&self, query: &UsageQuery) -> Result<UsageOverview, ServiceError> {
        let now = self.context.now();
        query.intervals(None, None, now)?;
        let mut overview = self.store.overview(&query.bounded(now)).await?;
        query.check(&overview.usage.kept)?;
        overview.usage.fill(query, now)?;
        Ok(overview)
    }

    /// Lists rollups, ordered by key.
    pub async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, ServiceError> {
        Ok(self.store.list_rollups(filter, page).await?)
    }

    /// Deletes a batch of old usage, as [`UsageStore::prune_usage`]. Returns the number of deleted rows. Call
    /// repeatedly until it returns 0. Take `now` from
    /// [`ClockService::plausible_now`](super::ClockService::plausible_now).
    pub async fn prune(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, ServiceError> {
        Ok(self.store.prune_usage(retention, now, limit).await?)
    }
}

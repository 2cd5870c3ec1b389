//! Reports of usage, and what is kept of it.

use super::LicenseService;
use crate::error::ServiceError;
use crate::license::LicenseId;
use crate::store::{Page, PageRequest};
use crate::usage::{Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport, UsageRetention};

impl LicenseService {
    /// What a license was used for, with all intervals of the series that is asked for.
    ///
    /// # Errors
    /// [`ServiceError::Usage`] when it asks for what is not kept, or too much; [`StoreError::NotFound`](crate::store::StoreError::NotFound) inside, or a fault of
    /// the store.
    pub async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, ServiceError> {
        let now = self.clock.now();
        query.intervals(None, None, now)?;
        let mut report = self.store.usage(id, query).await?;
        query.check(&report.kept)?;
        report.fill(query, now)?;
        Ok(report)
    }

    /// What all licenses were used for. As [`usage`](Self::usage).
    ///
    /// # Errors
    /// As [`usage`](Self::usage).
    pub async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, ServiceError> {
        let now = self.clock.now();
        query.intervals(None, None, now)?;
        let mut overview = self.store.usage_of_all(query).await?;
        query.check(&overview.usage.kept)?;
        overview.usage.fill(query, now)?;
        Ok(overview)
    }

    /// Rollups in the order of their keys. See [`LicenseStore::rollups`](crate::store::LicenseStore::rollups).
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, ServiceError> {
        Ok(self.store.rollups(filter, page).await?)
    }

    /// Removes a batch of what is not to be kept any more; says how many. See
    /// [`LicenseStore::forget_usage`](crate::store::LicenseStore::forget_usage).
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn forget_usage(&self, retention: &UsageRetention, limit: u32) -> Result<u64, ServiceError> {
        Ok(self.store.forget_usage(retention, self.clock.now(), limit).await?)
    }
}

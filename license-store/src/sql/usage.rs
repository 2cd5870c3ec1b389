//! Implements `UsageStore`. Every read waits for the compactor first.

mod prune;
mod reports;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::license::LicenseId;
use license_core::store::{Page, PageRequest, UsageStore};
use license_core::usage::{
    Day, RetainedUsage, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport,
    UsageRetention,
};

use super::prelude::*;
use super::store::SqlStore;

impl<D: Dialect> SqlDatabase<D> {
    /// Reads since when validations and rollups are complete.
    pub(super) async fn usage_kept(&self, connection: &mut Connection<D>) -> Result<RetainedUsage> {
        let rows = self.fetch(connection, &self.sql.usage.retention, &[]).await?;
        let kept = rows.first("retention", "", |row| {
            let rollups_from = row.maybe_int("rollups_from")?.map(Day::from_number);
            Ok(RetainedUsage { records_from: row.maybe_time("records_from")?, rollups_from })
        })?;
        Ok(kept.unwrap_or_default())
    }

    /// Reads the first `limit` rollups after a key, of one license or of all.
    pub(super) async fn read_rollups(
        &self,
        connection: &mut Connection<D>,
        license_id: Option<&LicenseId>,
        after: Option<&RollupKey>,
        limit: i64,
    ) -> Result<Vec<Rollup>> {
        let (day, texts) = after.map_or((i64::MIN, [""; 5]), |key| (key.day.number(), key.texts()));
        let mut values = vec![Value::from(day)];
        values.extend(texts.map(Value::from));
        values.push(limit.into());
        let sql = match license_id {
            Some(id) => {
                values.push(id.as_str().into());
                &self.sql.usage.rollups_of_license
            }
            None => &self.sql.usage.rollups,
        };
        let rows = self.fetch(connection, sql, &values).await?;
        rows.all("rollups", "", |row| Ok(Rollup { key: row.rollup_key()?, sum: row.usage_sum()? }))
    }
}

#[async_trait]
impl<D: Dialect> UsageStore for SqlStore<D> {
    async fn report(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport> {
        self.catch_up().await;
        self.database.limited(self.database.report_of_license(id, query)).await
    }

    async fn overview(&self, query: &UsageQuery) -> Result<UsageOverview> {
        self.catch_up().await;
        self.database.limited(self.database.overview(query)).await
    }

    async fn list_rollups(
        &self,
        RollupFilter { license_id }: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>> {
        self.catch_up().await;
        let (license_id, after) = (license_id.as_ref(), page.after.as_ref());
        let read = async {
            let (mut tx, _) = self.database.begin_report().await?;
            self.database.read_rollups(&mut tx, license_id, after, i64::from(page.limit) + 1).await
        };
        let items = self.database.limited(read).await?;
        Ok(Page::from_one_more(items, page.limit, |rollup: &Rollup| rollup.key.clone()))
    }

    async fn prune_usage(&self, retention: &UsageRetention, now: DateTime<Utc>, limit: u32) -> Result<u64> {
        // So that late validations of old days are deleted as well.
        self.catch_up().await;
        retry(|| self.database.try_prune_usage(retention, now, limit)).await
    }
}

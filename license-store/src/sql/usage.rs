//! The port of usage. Every read waits for the compactor first.

mod prune;
mod reports;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::license::LicenseId;
use license_core::store::{Page, PageRequest, StoreError, UsageStore};
use license_core::usage::{
    Day, RetainedUsage, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport,
    UsageRetention,
};

use super::database::{Connection, SqlDatabase, reader};
use super::dialect::{Dialect, Value};
use super::store::SqlStore;

impl<D: Dialect> SqlDatabase<D> {
    /// Reads from when on validations and rollups are stored.
    pub(super) async fn usage_kept(
        &self,
        connection: &mut Connection<D>,
    ) -> Result<RetainedUsage, StoreError> {
        let rows = self.fetch(connection, &self.sql.usage.retention, &[]).await?;
        let Some(row) = rows.first() else { return Ok(RetainedUsage::default()) };
        let row = reader::<D>(row, "retention", "");
        Ok(RetainedUsage {
            records_from: row.maybe_time("records_from")?,
            rollups_from: row.maybe_int("rollups_from")?.map(Day::from_number),
        })
    }

    /// Reads the first `limit` rollups after a key, of one license or of all.
    pub(super) async fn read_rollups(
        &self,
        connection: &mut Connection<D>,
        license_id: Option<&LicenseId>,
        after: Option<&RollupKey>,
        limit: i64,
    ) -> Result<Vec<Rollup>, StoreError> {
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
        let read = |row| {
            let row = reader::<D>(row, "rollups", "");
            Ok(Rollup { key: row.rollup_key()?, sum: row.usage_sum()? })
        };
        rows.iter().map(read).collect()
    }
}

#[async_trait]
impl<D: Dialect> UsageStore for SqlStore<D> {
    async fn report(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        self.catch_up().await;
        self.database.report_of_license(id, query).await
    }

    async fn overview(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        self.catch_up().await;
        self.database.overview(query).await
    }

    async fn list_rollups(
        &self,
        RollupFilter { license_id }: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        self.catch_up().await;
        let (mut connection, limit) = (self.database.reader().await?, i64::from(page.limit) + 1);
        let (license_id, after) = (license_id.as_ref(), page.after.as_ref());
        let items = self.database.read_rollups(&mut connection, license_id, after, limit).await?;
        Ok(Page::from_one_more(items, page.limit, |rollup: &Rollup| rollup.key.clone()))
    }

    async fn prune_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        // Deletes late validations of old days as well.
        self.catch_up().await;
        self.database.retry.run(|| self.database.try_prune_usage(retention, now, limit)).await
    }
}

//! Deletes old validations and rollups.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use license_core::license::LicenseId;
use license_core::usage::{Day, UsageRetention, UsageSum, ValidationOutcome};

use crate::sql::prelude::*;

impl<D: Dialect> SqlDatabase<D> {
    pub(super) async fn try_prune_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64> {
        let (kept, limit) = (retention.at(now), i64::from(limit.min(D::STEP_ROWS)));
        let mut deleted = 0;
        if let Some(from) = kept.records_from {
            deleted += self.prune_validations(from, limit).await?;
        }
        if let Some(from) = kept.rollups_from {
            deleted += self.prune_rollups(from.number(), limit).await?;
        }
        Ok(deleted as u64)
    }

    async fn prune_validations(&self, from: DateTime<Utc>, limit: i64) -> Result<usize> {
        let sql = &self.sql.usage;
        // Read first, so that the writer is locked for less time.
        let found = self.read(&sql.last_old_validation, values![Day::of(from).number(), limit]).await?;
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.fetch(&mut tx, &sql.retain_validations, values![from.timestamp_micros()]).await?;
        let mut deleted = 0;
        if let Some(row) = found.iter("validations", "").next() {
            let license = row.text("license_id")?;
            let last = values![row.int("day")?, license.as_str(), row.int("at")?, row.int("sequence")?];
            deleted = self.fetch(&mut tx, &sql.delete_validations, last).await?.len();
        }
        self.commit(tx).await?;
        Ok(deleted)
    }

    async fn prune_rollups(&self, from: i64, limit: i64) -> Result<usize> {
        let sql = &self.sql.usage;
        let found = self.read(&sql.last_old_rollup, values![from, limit]).await?;
        let last = found.first("rollups", "", Reader::rollup_key)?;
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.lock_compaction(&mut tx).await?;
        self.fetch(&mut tx, &sql.retain_rollups, values![from]).await?;
        let mut deleted = Rows(Vec::new());
        if let Some(last) = last {
            let mut values = vec![Value::from(last.day.number())];
            values.extend(last.texts().map(Value::from));
            deleted = self.fetch(&mut tx, &sql.delete_rollups, &values).await?;
        }
        let mut sums: BTreeMap<(LicenseId, ValidationOutcome), UsageSum> = BTreeMap::new();
        for row in deleted.iter("rollups", "") {
            let sum = row.usage_sum()?;
            let total = sums.entry((row.license_id("license_id")?, row.outcome()?));
            total.and_modify(|total| total.add(&sum)).or_insert(sum);
        }
        if !sums.is_empty() {
            let rows = json_rows(sums.iter().map(|((license_id, outcome), sum)| {
                let (first, last) = (sum.first_at.timestamp_micros(), sum.last_at.timestamp_micros());
                json!([license_id.as_str(), outcome.as_str(), sum.count, first, last])
            }));
            self.fetch(&mut tx, &sql.add_pruned, values![rows]).await?;
        }
        self.commit(tx).await?;
        Ok(deleted.len())
    }
}

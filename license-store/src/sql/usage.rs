//! Reports of usage, and what is kept of it.

mod statements;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use license_core::license::LicenseId;
use license_core::store::{Page, PageRequest, StoreError};
use license_core::usage::{
    Day, LicenseUsage, PlanUsage, Rollup, RollupFilter, RollupKey, UsageFigure, UsageKept, UsageOverview,
    UsageQuery, UsageReport, UsageRetention, UsageShare, UsageSum, Validation, ValidationCursor,
    ValidationOutcome,
};
use serde_json::json;

use super::dialect::{Dialect, Value, values};
use super::{Connection, SqlStore, Tx, reader, rows, store_error};
use statements::ReportStatements;

pub(super) use statements::UsageStatements;

/// So many times the rows of another commit in the background are removed in one: less is written of each.
const REMOVED: u32 = 8;

impl<D: Dialect> SqlStore<D> {
    /// The statements of reports of usage by name, for `EXPLAIN`: parameters are the license, where the name says that it is of one,
    /// and the days, ranges and the whole range of [`UsageSources`](license_core::usage::UsageSources); of `recent` the license, the
    /// range, time and number to begin behind, and how many.
    #[must_use]
    pub fn report_texts(&self) -> Vec<(&'static str, String)> {
        let texts = self.usage.of_license.texts().into_iter().map(|(name, text)| (name.of_license, text));
        let of_all = self.usage.of_all.texts().into_iter().map(|(name, text)| (name.of_all, text));
        let UsageStatements { active, top_licenses, by_plan, .. } = &self.usage;
        let more =
            [("active of all", active), ("top licenses of all", top_licenses), ("by plan of all", by_plan)];
        texts.chain(of_all).chain(more).map(|(name, text)| (name, text.as_str().to_owned())).collect()
    }

    pub(super) async fn usage_of(
        &self,
        id: &LicenseId,
        query: &UsageQuery,
    ) -> Result<UsageReport, StoreError> {
        // One transaction: all of one moment.
        let mut tx = self.begin_read().await?;
        self.check_exists(&mut tx, id).await?;
        self.report(&mut tx, &self.usage.of_license, Some(id), query).await
    }

    /// One at a time: each reads all rollups of its range several times, and others want to read, too.
    pub(super) async fn overview(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        let _one = self.overviews.enter().await.map_err(store_error::<D>)?;
        let mut tx = self.begin_read().await?;
        let usage = self.report(&mut tx, &self.usage.of_all, None, query).await?;
        let values = sources(None, query);
        let active = self.fetch(&mut tx, &self.usage.active, &values).await?;
        let top = self.fetch(&mut tx, &self.usage.top_licenses, &values).await?;
        let plans = self.fetch(&mut tx, &self.usage.by_plan, &values).await?;
        drop(tx);
        let (mut active_domains, mut active_devices) = (0, 0);
        if let Some(row) = active.first() {
            let row = reader::<D>(row, "rollups", "");
            (active_domains, active_devices) = (row.count("domains")?, row.count("devices")?);
        }
        let top = top.iter().map(|row| {
            let row = reader::<D>(row, "rollups", "");
            Ok(LicenseUsage { license_id: row.license_id("license_id")?, total: row.count("n")? })
        });
        let plans = plans.iter().map(|row| {
            let row = reader::<D>(row, "rollups", "");
            Ok(PlanUsage {
                plan: row.text("plan")?,
                active_licenses: row.count("active")?,
                total: row.count("valid")?,
                denied: row.count("denied")?,
            })
        });
        let by_plan: Vec<PlanUsage> = plans.collect::<Result<_, StoreError>>()?;
        Ok(UsageOverview {
            usage,
            active_licenses: by_plan.iter().map(|plan| plan.active_licenses).sum(),
            active_domains,
            active_devices,
            top_licenses: top.collect::<Result<_, StoreError>>()?,
            by_plan,
        })
    }

    async fn report(
        &self,
        tx: &mut Tx<D>,
        statements: &ReportStatements,
        id: Option<&LicenseId>,
        query: &UsageQuery,
    ) -> Result<UsageReport, StoreError> {
        let (license, sources) = (id.map_or("", LicenseId::as_str), query.sources());
        let values = self::sources(id, query);
        let figures = self.fetch(tx, statements.figures(query), &values).await?;
        let shares = match query.group_by.and_then(|group| statements.shares(group)) {
            Some(by) => self.fetch(tx, by, &values).await?,
            None => Vec::new(),
        };
        let of_license: Vec<Value<'_>> = id.map(|id| id.as_str().into()).into_iter().collect();
        let earlier = if sources.earlier {
            self.fetch(tx, &statements.earlier, &of_license).await?
        } else {
            Vec::new()
        };
        let kept = self.usage_kept(tx).await?;
        let (at, sequence) = query.page.after.map_or((i64::MAX, i64::MAX), |cursor| {
            (cursor.at.timestamp_micros(), rows::int(cursor.sequence))
        });
        let (from, to) = sources.range;
        let mut values = of_license;
        values.extend(values![from, to, at, sequence, i64::from(query.page.limit) + 1]);
        let records = self.fetch(tx, &statements.recent, &values).await?;

        let figures = figures.iter().map(|row| {
            let row = reader::<D>(row, "rollups", license);
            Ok(UsageFigure { slot: row.int("slot")?, outcome: row.outcome()?, sum: row.usage_sum()? })
        });
        let earlier = earlier.iter().map(|row| {
            let row = reader::<D>(row, "usage_before", license);
            Ok((row.outcome()?, row.usage_sum()?))
        });
        let shares = shares.iter().map(|row| {
            let row = reader::<D>(row, "rollups", license);
            Ok(UsageShare { value: row.maybe_text("value")?, sum: row.usage_sum()? })
        });
        let report = UsageReport::new(
            query,
            figures.collect::<Result<Vec<_>, StoreError>>()?,
            earlier.collect::<Result<Vec<_>, StoreError>>()?,
            shares.collect::<Result<_, StoreError>>()?,
        );
        let read = |row| reader::<D>(row, "validations", license).validation();
        let items = records.iter().map(read).collect::<Result<_, _>>()?;
        let Page { items, next } =
            Page::from_one_more(items, query.page.limit, |(cursor, _): &(ValidationCursor, Validation)| {
                *cursor
            });
        let items = items.into_iter().map(|(_, validation)| validation).collect();
        Ok(UsageReport { recent: Page { items, next }, kept, ..report })
    }

    pub(super) async fn usage_kept(&self, connection: &mut Connection<D>) -> Result<UsageKept, StoreError> {
        let rows = self.fetch(connection, &self.usage.kept, &[]).await?;
        let Some(row) = rows.first() else { return Ok(UsageKept::default()) };
        let row = reader::<D>(row, "usage_kept", "");
        Ok(UsageKept {
            records_from: row.maybe_time("records_from")?,
            rollups_from: row.maybe_int("rollups_from")?.map(Day::from_number),
        })
    }

    pub(super) async fn list_rollups(
        &self,
        RollupFilter { license_id }: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        let (connection, limit) = (&mut *self.reader().await?, i64::from(page.limit) + 1);
        let items = self.read_rollups(connection, license_id.as_ref(), page.after.as_ref(), limit).await?;
        Ok(Page::from_one_more(items, page.limit, |rollup: &Rollup| rollup.key.clone()))
    }

    /// The first so many behind a key, of one license or of all.
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
        let statement = match license_id {
            Some(id) => {
                values.push(id.as_str().into());
                &self.usage.rollups_of_license
            }
            None => &self.usage.rollups,
        };
        let rows = self.fetch(connection, statement, &values).await?;
        let read = |row| {
            let row = reader::<D>(row, "rollups", "");
            Ok(Rollup { key: row.rollup_key()?, sum: row.usage_sum()? })
        };
        rows.iter().map(read).collect()
    }

    pub(super) async fn try_forget_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let (keep, limit) = (retention.at(now), i64::from(limit.min(D::BACKGROUND_ROWS * REMOVED)));
        let mut forgotten = 0;
        let all = [keep.records_from, keep.rollups_from.map(Day::start)].into_iter().flatten().max();
        let all = values![rows::micros(all).unwrap_or(i64::MIN)];
        // What was recorded late is not filed yet.
        if !self.fetch(&mut *self.reader().await?, &self.usage.old_unfiled, all).await?.is_empty() {
            self.filing.run().await.map_err(store_error::<D>)?;
        }
        if let Some(from) = keep.records_from {
            forgotten += self.forget_records(from.timestamp_micros(), limit).await?;
        }
        if let Some(from) = keep.rollups_from {
            forgotten += self.forget_rollups(from.number(), limit).await?;
        }
        Ok(forgotten)
    }

    async fn forget_records(&self, from: i64, limit: i64) -> Result<u64, StoreError> {
        // What goes is found before others have to wait.
        let oldest = &self.usage.oldest_records;
        let found = self.fetch(&mut *self.reader().await?, oldest, values![from, limit]).await?;
        let _turn = self.enter_background().await?;
        let mut tx = self.begin(&self.statements.quick).await?;
        self.fetch(&mut tx, &self.usage.keep_records, values![from]).await?;
        let mut removed = 0;
        if let Some(row) = found.first() {
            let row = reader::<D>(row, "validations", "");
            let last = values![row.int("at")?, row.int("sequence")?];
            removed = self.fetch(&mut tx, &self.usage.remove_records, last).await?.len();
        }
        tx.commit().await.map_err(store_error::<D>)?;
        Ok(removed as u64)
    }

    async fn forget_rollups(&self, from: i64, limit: i64) -> Result<u64, StoreError> {
        let oldest = &self.usage.oldest_rollups;
        let found = self.fetch(&mut *self.reader().await?, oldest, values![from, limit]).await?;
        let last = found.first().map(|row| reader::<D>(row, "rollups", "").rollup_key()).transpose()?;
        let _turn = self.enter_background().await?;
        let mut tx = self.begin(&self.statements.quick).await?;
        if let Some(lock) = &self.usage.lock_filing {
            self.fetch(&mut tx, lock, &[]).await?;
        }
        self.fetch(&mut tx, &self.usage.keep_rollups, values![from]).await?;
        let mut removed = Vec::new();
        if let Some(last) = last {
            let mut values = vec![Value::from(last.day.number())];
            values.extend(last.texts().map(Value::from));
            removed = self.fetch(&mut tx, &self.usage.remove_rollups, &values).await?;
        }
        let mut earlier: BTreeMap<(LicenseId, ValidationOutcome), UsageSum> = BTreeMap::new();
        for row in &removed {
            let row = reader::<D>(row, "rollups", "");
            let sum = row.usage_sum()?;
            let total = earlier.entry((row.license_id("license_id")?, row.outcome()?));
            total.and_modify(|sums| sums.add(&sum)).or_insert(sum);
        }
        if !earlier.is_empty() {
            let rows = rows::json_rows(earlier.iter().map(|((license_id, outcome), sum)| {
                let (first, last) = (sum.first_at.timestamp_micros(), sum.last_at.timestamp_micros());
                json!([license_id.as_str(), outcome.as_str(), sum.count, first, last])
            }));
            self.fetch(&mut tx, &self.usage.add_earlier, values![rows.as_str()]).await?;
        }
        tx.commit().await.map_err(store_error::<D>)?;
        Ok(removed.len() as u64)
    }
}

/// The parameters of the sources of a query, behind the license where it is of one.
fn sources<'a>(id: Option<&'a LicenseId>, query: &UsageQuery) -> Vec<Value<'a>> {
    let sources = query.sources();
    let ranges = [sources.days, sources.records[0], sources.records[1], sources.range];
    let license = id.map(|id| id.as_str().into());
    license.into_iter().chain(ranges.into_iter().flat_map(|(from, to)| [from.into(), to.into()])).collect()
}

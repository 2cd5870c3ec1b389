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

use super::database::{Connection, SqlDatabase, Tx, reader};
use super::dialect::{Dialect, Durability, Value, values};
use super::fault::store_error;
use super::rows;
use statements::ReportStatements;

pub(super) use statements::UsageStatements;

/// Single validations with their places in the history, newest first.
type Recorded = Vec<(ValidationCursor, Validation)>;

impl<D: Dialect> SqlDatabase<D> {
    /// The statements of reports by name, for `EXPLAIN`.
    #[cfg(test)]
    pub(super) fn report_texts(&self) -> Vec<(String, String)> {
        let named = |statements: &ReportStatements, scope: &str| {
            statements.texts().map(|(name, text)| (format!("{name} of {scope}"), text.as_str().to_owned()))
        };
        let UsageStatements {
            active, top_licenses, by_plan, recent_day, recent_of_day, recent_of_all, ..
        } = &self.usage;
        let more = [
            ("active of all", active),
            ("top licenses of all", top_licenses),
            ("by plan of all", by_plan),
            ("recent day of a license", recent_day),
            ("recent of a license", recent_of_day),
            ("recent of all", recent_of_all),
        ];
        let more = more.map(|(name, text)| (name.to_owned(), text.as_str().to_owned()));
        let (one, all) = (named(&self.usage.of_license, "a license"), named(&self.usage.of_all, "all"));
        one.into_iter().chain(all).chain(more).collect()
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
        let _one = self.overviews.lock().await;
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
        let as_of = self.fetch(tx, &self.usage.as_of, &[]).await?;
        let as_of =
            as_of.first().map_or(Ok(None), |row| reader::<D>(row, "journal", license).maybe_time("as_of"))?;
        let items = self.recent(tx, id, query).await?;

        let figures = figures.iter().map(|row| {
            let row = reader::<D>(row, "rollups", license);
            Ok(UsageFigure { slot: row.int("slot")?, outcome: row.outcome()?, sum: row.usage_sum()? })
        });
        let earlier = earlier.iter().map(|row| {
            let row = reader::<D>(row, "pruned_usage", license);
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
        let Page { items, next } =
            Page::from_one_more(items, query.page.limit, |(cursor, _): &(ValidationCursor, Validation)| {
                *cursor
            });
        let items = items.into_iter().map(|(_, validation)| validation).collect();
        Ok(UsageReport { recent: Page { items, next }, kept, as_of, ..report })
    }

    /// The single validations of a page, and one more if there is a next page. Those of one license are looked up day by day, from the
    /// latest on.
    async fn recent(
        &self,
        tx: &mut Tx<D>,
        id: Option<&LicenseId>,
        query: &UsageQuery,
    ) -> Result<Recorded, StoreError> {
        let (from, to) = query.sources().range;
        let (at, sequence) = query.page.after.map_or((i64::MAX, i64::MAX), |cursor| {
            (cursor.at.timestamp_micros(), rows::int(cursor.sequence))
        });
        let limit = query.page.limit as usize + 1;
        let most = i64::from(query.page.limit) + 1;
        let Some(id) = id else {
            let values = values![from, to, at, sequence, most];
            let rows = self.fetch(tx, &self.usage.recent_of_all, values).await?;
            return rows.iter().map(|row| reader::<D>(row, "validations", "").validation()).collect();
        };
        let day = |micros: i64| micros.div_euclid(Day::MICROS);
        let (first, mut last) = (day(from), day(to.saturating_sub(1).min(at)));
        let mut found = Vec::new();
        while found.len() < limit {
            let values = values![first, last, id.as_str()];
            let days = self.fetch(tx, &self.usage.recent_day, values).await?;
            let day =
                days.first().map_or(Ok(None), |row| reader::<D>(row, "validations", "").maybe_int("day"))?;
            let Some(day) = day else { break };
            let left = rows::int((limit - found.len()) as u64);
            let values = values![day, id.as_str(), from, to, at, sequence, left];
            let rows = self.fetch(tx, &self.usage.recent_of_day, values).await?;
            for row in &rows {
                found.push(reader::<D>(row, "validations", id.as_str()).validation()?);
            }
            last = day.saturating_sub(1);
        }
        Ok(found)
    }

    pub(super) async fn usage_kept(&self, connection: &mut Connection<D>) -> Result<UsageKept, StoreError> {
        let rows = self.fetch(connection, &self.usage.kept, &[]).await?;
        let Some(row) = rows.first() else { return Ok(UsageKept::default()) };
        let row = reader::<D>(row, "retention", "");
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
        let (keep, limit) = (retention.at(now), i64::from(limit.min(D::STEP_ROWS)));
        let mut forgotten = 0;
        if let Some(from) = keep.records_from {
            forgotten += self.forget_records(from, limit).await?;
        }
        if let Some(from) = keep.rollups_from {
            forgotten += self.forget_rollups(from.number(), limit).await?;
        }
        Ok(forgotten)
    }

    async fn forget_records(&self, from: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
        // Found before the writer is locked.
        let values = values![Day::of(from).number(), limit];
        let found = self.fetch(&mut *self.reader().await?, &self.usage.oldest_records, values).await?;
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.fetch(&mut tx, &self.usage.keep_records, values![from.timestamp_micros()]).await?;
        let mut removed = 0;
        if let Some(row) = found.first() {
            let row = reader::<D>(row, "validations", "");
            let license = row.text("license_id")?;
            let last = values![row.int("day")?, license.as_str(), row.int("at")?, row.int("sequence")?];
            removed = self.fetch(&mut tx, &self.usage.remove_records, last).await?.len();
        }
        tx.commit().await.map_err(store_error::<D>)?;
        Ok(removed as u64)
    }

    async fn forget_rollups(&self, from: i64, limit: i64) -> Result<u64, StoreError> {
        let oldest = &self.usage.oldest_rollups;
        let found = self.fetch(&mut *self.reader().await?, oldest, values![from, limit]).await?;
        let last = found.first().map(|row| reader::<D>(row, "rollups", "").rollup_key()).transpose()?;
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        if let Some(lock) = &self.compaction.lock {
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
    let ranges = [sources.days, sources.records[0], sources.records[1]];
    let license = id.map(|id| id.as_str().into());
    license.into_iter().chain(ranges.into_iter().flat_map(|(from, to)| [from.into(), to.into()])).collect()
}

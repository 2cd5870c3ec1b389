//! Usage reports.

use chrono::{DateTime, Utc};
use license_core::license::LicenseId;
use license_core::store::Page;
use license_core::usage::{
    Day, LicenseUsage, PlanUsage, UsageCell, UsageOverview, UsageQuery, UsageReport, UsageShare, Validation,
    ValidationCursor,
};

use crate::sql::prelude::*;

/// Single validations with their cursors, newest first.
type History = Vec<(ValidationCursor, Validation)>;

impl<D: Dialect> SqlDatabase<D> {
    pub(super) async fn report_of_license(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport> {
        // At a replica, the license may be missing although it exists.
        if self.pools.replica.is_some() {
            self.check_exists(&mut *self.begin_read().await?, id).await?;
        }
        // One snapshot for all statements.
        let (mut tx, replayed) = self.begin_report().await?;
        if self.pools.replica.is_none() {
            self.check_exists(&mut tx, id).await?;
        }
        self.usage_report(&mut tx, Some(id), query, replayed).await
    }

    /// Runs one overview at a time: each reads all rollups of its range several times.
    pub(super) async fn overview(&self, query: &UsageQuery) -> Result<UsageOverview> {
        let _overview = self.overviews.lock().await;
        let ((mut tx, replayed), sql) = (self.begin_report().await?, &self.sql.reports);
        let usage = self.usage_report(&mut tx, None, query, replayed).await?;
        let values = source_values(None, query);
        let active = self.fetch(&mut tx, &sql.active, &values).await?;
        let top = self.fetch(&mut tx, &sql.top_licenses, &values).await?;
        let plans = self.fetch(&mut tx, &sql.by_plan, &values).await?;
        drop(tx);
        let top_licenses = top.all("rollups", "", |row| {
            Ok(LicenseUsage { license_id: row.license_id("license_id")?, total: row.count("n")? })
        })?;
        let by_plan = plans.all("rollups", "", |row| {
            Ok(PlanUsage {
                plan: row.text("plan")?,
                active_licenses: row.count("active")?,
                total: row.count("valid")?,
                denied: row.count("denied")?,
            })
        })?;
        Ok(UsageOverview {
            usage,
            active_licenses: by_plan.iter().map(|plan| plan.active_licenses).sum(),
            active_domains: active.count("rollups", "domains")?,
            active_devices: active.count("rollups", "devices")?,
            top_licenses,
            by_plan,
        })
    }

    async fn usage_report(
        &self,
        tx: &mut Tx<D>,
        id: Option<&LicenseId>,
        query: &UsageQuery,
        replayed: Option<DateTime<Utc>>,
    ) -> Result<UsageReport> {
        let reports = &self.sql.reports;
        let sql = if id.is_some() { &reports.of_license } else { &reports.of_all };
        let license = id.map_or("", LicenseId::as_str);
        let values = source_values(id, query);
        let sums = self.fetch(tx, sql.sums(query), &values).await?.all("rollups", license, |row| {
            Ok(UsageCell { slot: row.int("slot")?, outcome: row.outcome()?, sum: row.usage_sum()? })
        })?;
        let shares = match query.group_by.and_then(|group| sql.shares(group)) {
            Some(shares) => self.fetch(tx, shares, &values).await?.all("rollups", license, |row| {
                Ok(UsageShare { value: row.maybe_text("value")?, sum: row.usage_sum()? })
            })?,
            None => Vec::new(),
        };
        let license_value = if id.is_some() { &values[..1] } else { &[] };
        let mut pruned = Vec::new();
        if query.sources().earlier {
            let rows = self.fetch(tx, &sql.pruned, license_value).await?;
            pruned = rows.all("pruned_usage", license, |row| Ok((row.outcome()?, row.usage_sum()?)))?;
        }
        let kept = self.usage_kept(tx).await?;
        let as_of = self.fetch(tx, &reports.as_of, &[]).await?;
        let as_of = as_of.first("journal", license, |row| row.maybe_time("as_of"))?.flatten();
        let as_of = as_of.into_iter().chain(replayed).min();
        let recent = self.recent(tx, id, query).await?;

        let report = UsageReport::new(query, sums, pruned, shares);
        let cursor = |(cursor, _): &(ValidationCursor, Validation)| *cursor;
        let Page { items, next } = Page::from_one_more(recent, query.page.limit, cursor);
        let items = items.into_iter().map(|(_, validation)| validation).collect();
        Ok(UsageReport { recent: Page { items, next }, kept, as_of, ..report })
    }

    /// Reads the single validations of a page, and one more if there is a next page. Those of one license are
    /// looked up day by day, latest first.
    async fn recent(&self, tx: &mut Tx<D>, id: Option<&LicenseId>, query: &UsageQuery) -> Result<History> {
        let (from, to) = query.sources().range;
        let (at, sequence) = query
            .page
            .after
            .map_or((i64::MAX, i64::MAX), |cursor| (cursor.at.timestamp_micros(), int(cursor.sequence)));
        let limit = query.page.limit as usize + 1;
        let Some(id) = id else {
            let values = values![from, to, at, sequence, i64::from(query.page.limit) + 1];
            let rows = self.fetch(tx, &self.sql.reports.recent_of_all, values).await?;
            return rows.all("validations", "", Reader::validation);
        };
        let day = |micros: i64| micros.div_euclid(Day::MICROS);
        let (first, mut last) = (day(from), day(to.saturating_sub(1).min(at)));
        let mut found = Vec::new();
        while found.len() < limit {
            let values = values![first, last, id.as_str()];
            let days = self.fetch(tx, &self.sql.reports.recent_day, values).await?;
            let day = days.first("validations", "", |row| row.maybe_int("day"))?.flatten();
            let Some(day) = day else { break };
            let missing = int((limit - found.len()) as u64);
            let values = values![day, id.as_str(), from, to, at, sequence, missing];
            let rows = self.fetch(tx, &self.sql.reports.recent_of_day, values).await?;
            found.extend(rows.all("validations", id.as_str(), Reader::validation)?);
            last = day.saturating_sub(1);
        }
        Ok(found)
    }
}

/// The license, if the query is about one, and the sources of the query as parameters.
fn source_values<'a>(id: Option<&'a LicenseId>, query: &UsageQuery) -> Vec<Value<'a>> {
    let sources = query.sources();
    let ranges = [sources.days, sources.records[0], sources.records[1]];
    let license = id.map(|id| id.as_str().into());
    license.into_iter().chain(ranges.into_iter().flat_map(|(from, to)| [from.into(), to.into()])).collect()
}

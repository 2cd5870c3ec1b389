//! The port of usage.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::catalog::Plan;
use license_core::command::{AnomalyKind, DailyCounts, anomaly_events};
use license_core::license::{Fingerprint, LicenseId};
use license_core::store::{AnomalyScan, Page, PageRequest, StoreError, UsageStore};
use license_core::usage::{
    Country, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport, UsageRetention,
    UsageSources, UsageTally, Validation, ValidationCursor, ValidationOutcome,
};

use super::data::{Data, LicenseEntry};
use super::store::MemoryStore;
use super::usage_log::{HistoryEntry, UsageLog};

fn within((start, end): (i64, i64), value: i64) -> bool {
    start <= value && value < end
}

impl Data {
    fn rollups_of<'a>(&'a self, sources: &'a UsageSources) -> impl Iterator<Item = Rollup> + 'a {
        let found = self.usage.rollups.iter().filter(|(key, _)| within(sources.days, key.day.number()));
        found.map(|(key, sum)| Rollup { key: key.clone(), sum: *sum })
    }

    fn entry(&self, id: &LicenseId) -> Result<&LicenseEntry, StoreError> {
        self.licenses.get(id).ok_or_else(|| StoreError::NotFound { id: id.clone() })
    }

    pub(crate) fn report(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        let (entry, sources) = (self.entry(id)?, query.sources());
        let mut tally = UsageTally::new(query);
        for rollup in self.rollups_of(&sources).filter(|rollup| rollup.key.license_id == *id) {
            tally.add(&rollup);
        }
        for rollup in entry.of_cut_days(id, &sources) {
            tally.add(&rollup);
        }
        let pruned = self.usage.pruned.iter().filter(|((license, _), _)| sources.earlier && license == id);
        let report = tally.report(pruned.map(|((_, outcome), sum)| (*outcome, *sum)));
        let recent = entry.recent(id, sources.range);
        Ok(UsageReport { recent: page(recent, query), kept: self.usage.kept, ..report })
    }

    pub(crate) fn overview(&self, query: &UsageQuery) -> UsageOverview {
        let sources = query.sources();
        let mut tally = UsageTally::new(query);
        for rollup in self.rollups_of(&sources) {
            tally.add(&rollup);
        }
        for rollup in self.licenses.iter().flat_map(|(id, entry)| entry.of_cut_days(id, &sources)) {
            tally.add(&rollup);
        }
        let pruned = self.usage.pruned.iter().filter(|_| sources.earlier);
        let mut overview = tally.overview(pruned.map(|((_, outcome), sum)| (*outcome, *sum)), |id| {
            self.licenses.get(id).map(|entry| entry.record.license().plan.clone())
        });
        let recent = self.licenses.iter().flat_map(|(id, entry)| entry.recent(id, sources.range));
        overview.usage.recent = page(recent.collect(), query);
        overview.usage.kept = self.usage.kept;
        overview
    }

    pub(crate) fn rollups(
        &self,
        filter: &RollupFilter,
        request: &PageRequest<RollupKey>,
    ) -> Page<Rollup, RollupKey> {
        let found = self.usage.rollups.iter().filter(|(key, _)| filter.matches(key));
        let after = found.filter(|(key, _)| request.after.as_ref().is_none_or(|cursor| *key > cursor));
        let items = after.take(request.limit as usize + 1);
        let items = items.map(|(key, sum)| Rollup { key: key.clone(), sum: *sum }).collect();
        Page::from_one_more(items, request.limit, |rollup: &Rollup| rollup.key.clone())
    }

    pub(crate) fn prune_usage(&mut self, retention: UsageRetention, now: DateTime<Utc>, limit: u32) -> u64 {
        let keep = retention.at(now);
        self.usage.kept = self.usage.kept.and(keep);
        let mut deleted = 0;
        for entry in self.licenses.values_mut() {
            let limit = u64::from(limit);
            entry.validations.retain(|entry| {
                let is_old = keep.records_from.is_some_and(|from| entry.cursor.at < from) && deleted < limit;
                deleted += u64::from(is_old);
                !is_old
            });
        }
        let UsageLog { rollups, pruned, .. } = &mut self.usage;
        for _ in 0..limit {
            let Some(oldest) = rollups.first_entry() else { break };
            if keep.rollups_from.is_none_or(|from| oldest.key().day >= from) {
                break;
            }
            let (key, sum) = oldest.remove_entry();
            let total = pruned.entry((key.license_id, key.outcome));
            total.and_modify(|sums| sums.add(&sum)).or_insert(sum);
            deleted += 1;
        }
        deleted
    }
}

impl LicenseEntry {
    /// Returns the single validations of days that the range cuts.
    fn of_cut_days<'a>(
        &'a self,
        id: &'a LicenseId,
        sources: &'a UsageSources,
    ) -> impl Iterator<Item = Rollup> + 'a {
        let times = |entry: &HistoryEntry| entry.cursor.at.timestamp_micros();
        let cut =
            move |entry: &&HistoryEntry| sources.records.iter().any(|range| within(*range, times(entry)));
        self.validations.iter().filter(cut).map(|entry| Rollup::of(&entry.validation(id)))
    }

    fn recent(&self, id: &LicenseId, range: (i64, i64)) -> Vec<(ValidationCursor, Validation)> {
        let found = self.validations.iter();
        let found = found.filter(|entry| within(range, entry.cursor.at.timestamp_micros()));
        found.map(|entry| (entry.cursor, entry.validation(id))).collect()
    }
}

/// Returns the page of a query, newest first.
fn page(
    mut found: Vec<(ValidationCursor, Validation)>,
    UsageQuery { page, .. }: &UsageQuery,
) -> Page<Validation, ValidationCursor> {
    found.retain(|(cursor, _)| page.after.is_none_or(|after| *cursor < after));
    found.sort_unstable_by_key(|(cursor, _)| Reverse(*cursor));
    found.truncate(page.limit as usize + 1);
    let Page { items, next } =
        Page::from_one_more(found, page.limit, |(cursor, _): &(ValidationCursor, _)| *cursor);
    Page { items: items.into_iter().map(|(_, validation)| validation).collect(), next }
}

impl Data {
    /// Returns days of licenses that get anomaly events.
    pub(crate) fn anomalies(&self, scan: &AnomalyScan) -> Vec<(LicenseId, DailyCounts)> {
        // The rest reads all rollups, every few seconds.
        if !scan.plans.iter().any(Plan::watches_usage) {
            return Vec::new();
        }
        let mut days: BTreeMap<_, (BTreeSet<Country>, BTreeSet<&Fingerprint>)> = BTreeMap::new();
        for RollupKey { day, license_id, outcome, domain: _, device, country } in self.usage.rollups.keys() {
            if *outcome == ValidationOutcome::Valid {
                let (countries, devices) = days.entry((*day, license_id.clone())).or_default();
                countries.extend(country);
                devices.extend(device);
            }
        }
        let count = |found: usize| u32::try_from(found).unwrap_or(u32::MAX);
        let mut anomalies = Vec::new();
        for ((day, id), (countries, devices)) in days {
            let counts =
                DailyCounts { day, countries: count(countries.len()), devices: count(devices.len()) };
            let Some(entry) = self.licenses.get(&id) else { continue };
            let Some(plan) = scan.plans.get(&entry.record.license().plan) else { continue };
            let has_events = AnomalyKind::ALL.into_iter().any(|kind| {
                let last = self.events.anomaly_events_on.get(&(id.clone(), kind)).copied();
                anomaly_events((**entry.record.license()).clone(), plan, kind, &counts, last, scan.now)
                    .is_some()
            });
            if has_events {
                anomalies.push((id, counts));
            }
        }
        anomalies.truncate(scan.limit as usize);
        anomalies
    }
}

#[async_trait]
impl UsageStore for MemoryStore {
    async fn report(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        self.current().report(id, query)
    }

    async fn overview(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        Ok(self.current().overview(query))
    }

    async fn list_rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        Ok(self.current().rollups(filter, page))
    }

    async fn prune_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        Ok(self.current().prune_usage(*retention, now, limit))
    }
}

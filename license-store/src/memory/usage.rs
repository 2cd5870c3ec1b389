//! Implements `UsageStore`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::catalog::PlanEntry;
use license_core::command::{AnomalyKind, DailyCounts, anomaly_events};
use license_core::license::{Fingerprint, LicenseId};
use license_core::store::{AnomalyScan, Page, PageRequest, UsageStore};
use license_core::usage::{
    Country, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport, UsageRetention,
    UsageSum, UsageTally, Validation, ValidationCursor, ValidationOutcome,
};

use super::data::Data;
use super::store::MemoryStore;
use super::usage_log::UsageLog;
use crate::Result;

fn within((start, end): (i64, i64), value: i64) -> bool {
    start <= value && value < end
}

/// Counts for a query.
struct Counted<'a> {
    tally: UsageTally<'a>,
    pruned: Vec<(ValidationOutcome, UsageSum)>,
    recent: Page<Validation, ValidationCursor>,
}

impl Data {
    /// Counts the usage of one license or of all.
    fn count<'a>(&self, id: Option<&LicenseId>, query: &'a UsageQuery) -> Counted<'a> {
        let (sources, mut tally, mut recent) = (query.sources(), UsageTally::new(query), Vec::new());
        let is_asked = |license: &LicenseId| id.is_none_or(|id| id == license);
        for (key, sum) in self.usage.rollups.iter().filter(|(key, _)| is_asked(&key.license_id)) {
            if within(sources.days, key.day.number()) {
                tally.add(&Rollup { key: key.clone(), sum: *sum });
            }
        }
        let entries = self.licenses.iter().filter(|(license, _)| is_asked(license));
        for (cursor, validation) in entries.flat_map(|(_, entry)| &entry.validations) {
            let at = cursor.at.timestamp_micros();
            // Days that are only partly in the range are counted from single validations.
            if sources.records.iter().any(|range| within(*range, at)) {
                tally.add(&Rollup::of(validation));
            }
            if within(sources.range, at) && query.page.after.is_none_or(|after| *cursor < after) {
                recent.push((*cursor, validation));
            }
        }
        recent.sort_unstable_by_key(|(cursor, _)| Reverse(*cursor));
        recent.truncate(query.page.limit as usize + 1);
        let Page { items, next } = Page::from_one_more(recent, query.page.limit, |(cursor, _)| *cursor);
        let pruned =
            self.usage.pruned.iter().filter(|((license, _), _)| sources.earlier && is_asked(license));
        Counted {
            tally,
            pruned: pruned.map(|((_, outcome), sum)| (*outcome, *sum)).collect(),
            recent: Page {
                items: items.into_iter().map(|(_, validation)| validation.clone()).collect(),
                next,
            },
        }
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
}

impl Data {
    /// Returns the licenses that must get an anomaly event, with the counts of the day it is about.
    pub(crate) fn anomalies(&self, scan: &AnomalyScan) -> Vec<(LicenseId, DailyCounts)> {
        // The rest reads all rollups, every few seconds.
        if !scan.plans.entries().any(PlanEntry::watches_usage) {
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
            let license = entry.record.license();
            let Some(plan) = scan.plans.version(&license.plan, license.plan_version) else { continue };
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
    async fn report(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport> {
        let data = self.current();
        data.record(id)?;
        let Counted { tally, pruned, recent } = data.count(Some(id), query);
        Ok(UsageReport { recent, kept: data.usage.kept, ..tally.report(pruned) })
    }

    async fn overview(&self, query: &UsageQuery) -> Result<UsageOverview> {
        let data = self.current();
        let Counted { tally, pruned, recent } = data.count(None, query);
        let plan = |id: &LicenseId| data.licenses.get(id).map(|entry| entry.record.license().plan.clone());
        let overview = tally.overview(pruned, plan);
        let usage = UsageReport { recent, kept: data.usage.kept, ..overview.usage };
        Ok(UsageOverview { usage, ..overview })
    }

    async fn list_rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>> {
        Ok(self.current().rollups(filter, page))
    }

    async fn prune_usage(&self, retention: &UsageRetention, now: DateTime<Utc>, limit: u32) -> Result<u64> {
        let mut data = self.current();
        let data = &mut *data;
        let keep = retention.at(now);
        data.usage.kept = data.usage.kept.and(keep);
        let mut deleted = 0;
        for entry in data.licenses.values_mut() {
            let limit = u64::from(limit);
            entry.validations.retain(|(cursor, _)| {
                let is_old = keep.records_from.is_some_and(|from| cursor.at < from) && deleted < limit;
                deleted += u64::from(is_old);
                !is_old
            });
        }
        let UsageLog { rollups, pruned, .. } = &mut data.usage;
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
        Ok(deleted)
    }
}

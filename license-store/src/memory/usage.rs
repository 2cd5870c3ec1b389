//! Usage in memory: rollups and counters beside the single validations.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use license_core::activation::Fingerprint;
use license_core::command::{DayFigures, UnusualKind, tell_unusual};
use license_core::license::LicenseId;
use license_core::outbox::UsageLook;
use license_core::place::Country;
use license_core::plan::Plan;
use license_core::store::{Page, PageRequest, StoreError};
use license_core::usage::{
    Fold, Rollup, RollupFilter, RollupKey, UsageKept, UsageOverview, UsageQuery, UsageReport, UsageRetention,
    UsageSources, UsageSum, UsageTally, Validation, ValidationCursor, ValidationOutcome, fold,
};

use super::{Data, Entry, Recorded};

#[derive(Debug, Default)]
pub(super) struct UsageData {
    rollups: BTreeMap<RollupKey, UsageSum>,
    /// Of rollups that are gone.
    earlier: BTreeMap<(LicenseId, ValidationOutcome), UsageSum>,
    kept: UsageKept,
}

impl UsageData {
    /// Whether there is a rollup with that key.
    pub(super) fn has(&self, key: &RollupKey) -> bool {
        self.rollups.contains_key(key)
    }

    /// Adds a rollup from elsewhere, where there is none.
    pub(super) fn import(&mut self, Rollup { key, sum }: &Rollup) {
        self.rollups.entry(key.clone()).or_insert(*sum);
        self.kept = self.kept.and(UsageKept::imported(key.day));
    }

    pub(super) fn kept(&self) -> &UsageKept {
        &self.kept
    }
}

#[cfg(all(test, feature = "conformance"))]
impl UsageData {
    /// Adds to a rollup that may be there.
    pub(super) fn add(&mut self, Rollup { key, sum }: &Rollup) {
        self.rollups.entry(key.clone()).and_modify(|sums| sums.add(sum)).or_insert(*sum);
    }

    /// Loses what rollups that are gone have counted.
    pub(super) fn forget_totals(&mut self) {
        self.earlier.clear();
    }
}

fn within((start, end): (i64, i64), value: i64) -> bool {
    start <= value && value < end
}

impl Data {
    /// Appends validations to the histories and applies their fold. Those of unknown licenses are ignored.
    pub(super) fn record(&mut self, validations: &[Validation]) {
        let known: Vec<&Validation> = validations
            .iter()
            .filter(|validation| self.licenses.contains_key(&validation.license_id))
            .collect();
        let Fold { rollups, counters, sightings } = fold(known.iter().copied());
        for (key, sum) in rollups {
            self.usage.rollups.entry(key).and_modify(|sums| sums.add(&sum)).or_insert(sum);
        }
        for (id, counted) in counters {
            if let Some(entry) = self.licenses.get_mut(&id) {
                entry.counters.add(&counted);
            }
        }
        for ((id, binding), seen) in sightings {
            if let Some(entry) = self.licenses.get_mut(&id) {
                entry.see(&binding, &seen);
            }
        }
        for validation in known {
            self.last_validation += 1;
            let Validation { license_id, at, outcome, claim, covered_by, place, client } = validation.clone();
            let cursor = ValidationCursor { at, sequence: self.last_validation };
            if let Some(entry) = self.licenses.get_mut(&license_id) {
                entry.validations.push(Recorded { cursor, outcome, claim, covered_by, place, client });
            }
        }
    }

    fn rollups_of<'a>(&'a self, sources: &'a UsageSources) -> impl Iterator<Item = Rollup> + 'a {
        let found = self.usage.rollups.iter().filter(|(key, _)| within(sources.days, key.day.number()));
        found.map(|(key, sum)| Rollup { key: key.clone(), sum: *sum })
    }

    pub(super) fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        let (entry, sources) = (self.entry(id)?, query.sources());
        let mut tally = UsageTally::new(query);
        for rollup in self.rollups_of(&sources).filter(|rollup| rollup.key.license_id == *id) {
            tally.add(&rollup);
        }
        for rollup in entry.cut(id, &sources) {
            tally.add(&rollup);
        }
        let earlier = self.usage.earlier.iter().filter(|((license, _), _)| sources.earlier && license == id);
        let report = tally.report(earlier.map(|((_, outcome), sum)| (*outcome, *sum)));
        let recent = entry.recent(id, sources.range);
        Ok(UsageReport { recent: page(recent, query), kept: self.usage.kept, ..report })
    }

    pub(super) fn usage_of_all(&self, query: &UsageQuery) -> UsageOverview {
        let sources = query.sources();
        let mut tally = UsageTally::new(query);
        for rollup in self.rollups_of(&sources) {
            tally.add(&rollup);
        }
        for rollup in self.licenses.iter().flat_map(|(id, entry)| entry.cut(id, &sources)) {
            tally.add(&rollup);
        }
        let earlier = self.usage.earlier.iter().filter(|_| sources.earlier);
        let mut overview = tally.overview(earlier.map(|((_, outcome), sum)| (*outcome, *sum)), |id| {
            self.licenses.get(id).map(|entry| entry.license.plan.clone())
        });
        let recent = self.licenses.iter().flat_map(|(id, entry)| entry.recent(id, sources.range));
        overview.usage.recent = page(recent.collect(), query);
        overview.usage.kept = self.usage.kept;
        overview
    }

    pub(super) fn rollups(
        &self,
        filter: &RollupFilter,
        request: &PageRequest<RollupKey>,
    ) -> Page<Rollup, RollupKey> {
        let found = self.usage.rollups.iter().filter(|(key, _)| filter.admits(key));
        let behind = found.filter(|(key, _)| request.after.as_ref().is_none_or(|after| *key > after));
        let items = behind.take(request.limit as usize + 1);
        let items = items.map(|(key, sum)| Rollup { key: key.clone(), sum: *sum }).collect();
        Page::from_one_more(items, request.limit, |rollup: &Rollup| rollup.key.clone())
    }

    pub(super) fn forget_usage(&mut self, retention: UsageRetention, now: DateTime<Utc>, limit: u32) -> u64 {
        let keep = retention.at(now);
        self.usage.kept = self.usage.kept.and(keep);
        let mut forgotten = 0;
        for entry in self.licenses.values_mut() {
            let limit = u64::from(limit);
            entry.validations.retain(|recorded| {
                let goes =
                    keep.records_from.is_some_and(|from| recorded.cursor.at < from) && forgotten < limit;
                forgotten += u64::from(goes);
                !goes
            });
        }
        let UsageData { rollups, earlier, .. } = &mut self.usage;
        for _ in 0..limit {
            let Some(oldest) = rollups.first_entry() else { break };
            if keep.rollups_from.is_none_or(|from| oldest.key().day >= from) {
                break;
            }
            let (key, sum) = oldest.remove_entry();
            let total = earlier.entry((key.license_id, key.outcome));
            total.and_modify(|sums| sums.add(&sum)).or_insert(sum);
            forgotten += 1;
        }
        forgotten
    }
}

impl Entry {
    /// Its single validations where a range cuts a day.
    fn cut<'a>(&'a self, id: &'a LicenseId, sources: &'a UsageSources) -> impl Iterator<Item = Rollup> + 'a {
        let times = |recorded: &Recorded| recorded.cursor.at.timestamp_micros();
        let cut =
            move |recorded: &&Recorded| sources.records.iter().any(|range| within(*range, times(recorded)));
        self.validations.iter().filter(cut).map(|recorded| Rollup::of(&recorded.validation(id)))
    }

    fn recent(&self, id: &LicenseId, range: (i64, i64)) -> Vec<(ValidationCursor, Validation)> {
        let found = self.validations.iter();
        let found = found.filter(|recorded| within(range, recorded.cursor.at.timestamp_micros()));
        found.map(|recorded| (recorded.cursor, recorded.validation(id))).collect()
    }
}

/// The page that a query asks for, newest first.
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
    /// Days of licenses on which there is something to tell of.
    pub(super) fn unusual(&self, look: &UsageLook) -> Vec<(LicenseId, DayFigures)> {
        // What follows goes through all that is there, each few seconds.
        if !look.plans.iter().any(Plan::watches_usage) {
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
        let mut unusual = Vec::new();
        for ((day, id), (countries, devices)) in days {
            let figures =
                DayFigures { day, countries: count(countries.len()), devices: count(devices.len()) };
            let Some(entry) = self.licenses.get(&id) else { continue };
            let Some(plan) = look.plans.get(&entry.license.plan) else { continue };
            let told = UnusualKind::ALL.into_iter().any(|kind| {
                let last = self.outbox.unusual_told.get(&(id.clone(), kind)).copied();
                tell_unusual((*entry.license).clone(), plan, kind, &figures, last, look.now).is_some()
            });
            if told {
                unusual.push((id, figures));
            }
        }
        unusual.truncate(look.limit as usize);
        unusual
    }
}

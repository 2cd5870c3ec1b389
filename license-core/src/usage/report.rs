//! Usage reports.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{
    Interval, RetainedUsage, Rollup, UsageError, UsageGroup, UsageQuery, UsageSum, Validation,
    ValidationCursor, ValidationOutcome,
};
use crate::domain::DomainName;
use crate::license::{Fingerprint, LicenseId};
use crate::limits;
use crate::page::Page;
use crate::usage::Country;

/// Usage in a range of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageReport {
    /// Validations by outcome; only outcomes that occurred.
    pub by_outcome: BTreeMap<ValidationOutcome, u64>,
    /// The first validation, denied ones included.
    pub first_at: Option<DateTime<Utc>>,
    /// The last validation, denied ones included.
    pub last_at: Option<DateTime<Utc>>,
    /// The latest valid answer.
    pub last_validated_at: Option<DateTime<Utc>>,
    /// The intervals in order. Stores return those with validations; [`fill`](Self::fill) adds the others.
    pub series: Vec<UsagePoint>,
    /// The requested breakdown, if any.
    pub breakdown: Option<Breakdown>,
    /// Single validations in the range that are still stored, newest first.
    pub recent: Page<Validation, ValidationCursor>,
    /// The data that the store held when it made the report.
    pub kept: RetainedUsage,
    /// All validations recorded before this time are counted; `None` means all are.
    pub as_of: Option<DateTime<Utc>>,
}

/// One interval of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsagePoint {
    /// Start of the interval.
    pub start: DateTime<Utc>,
    /// Validations by outcome, within the range.
    pub by_outcome: BTreeMap<ValidationOutcome, u64>,
}

/// Validations by one property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breakdown {
    /// The property.
    pub by: UsageGroup,
    /// The most frequent values, at most [`limits::USAGE_SHARES`], most frequent first.
    pub shares: Vec<UsageShare>,
    /// Number of validations with other values, or in removed rollups, whose values are unknown.
    pub other: u64,
}

/// Validations with one value of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageShare {
    /// The value, if known.
    pub value: Option<String>,
    /// Count and times.
    pub sum: UsageSum,
}

/// Validations of one time slot and outcome, as stores sum them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageCell {
    /// The number of the slot, see [`Interval::slot_start`].
    pub slot: i64,
    /// The outcome.
    pub outcome: ValidationOutcome,
    /// Count and times.
    pub sum: UsageSum,
}

impl UsageReport {
    /// Builds a report from sums of a store.
    ///
    /// `cells` are sums by slot and outcome. `earlier` are sums of removed rollups, if
    /// [`UsageSources::earlier`](super::UsageSources::earlier) is set. `shares` are the most frequent
    /// values, if the query groups by another property than the outcome.
    #[must_use]
    pub fn new(
        query: &UsageQuery,
        cells: impl IntoIterator<Item = UsageCell>,
        earlier: impl IntoIterator<Item = (ValidationOutcome, UsageSum)>,
        shares: Vec<UsageShare>,
    ) -> Self {
        let (mut sums, mut points) = (BTreeMap::new(), BTreeMap::new());
        let mut add = |outcome, sum: UsageSum| {
            sums.entry(outcome).and_modify(|sums: &mut UsageSum| sums.add(&sum)).or_insert(sum);
        };
        for UsageCell { slot, outcome, sum } in cells {
            add(outcome, sum);
            if let Some(interval) = query.interval {
                let start = interval.start_of(Interval::slot_start(query.interval, slot));
                let by_outcome: &mut BTreeMap<_, u64> = points.entry(start).or_default();
                *by_outcome.entry(outcome).or_default() += sum.count;
            }
        }
        for (outcome, sum) in earlier {
            add(outcome, sum);
        }
        let shares = match query.group_by {
            Some(UsageGroup::Outcome) => {
                most_frequent(sums.iter().map(|(outcome, sum)| (Some(outcome.to_string()), *sum)))
            }
            _ => shares,
        };
        let all: u64 = sums.values().map(|sum| sum.count).sum();
        let listed: u64 = shares.iter().map(|share| share.sum.count).sum();
        Self {
            first_at: sums.values().map(|sum| sum.first_at).min(),
            last_at: sums.values().map(|sum| sum.last_at).max(),
            last_validated_at: sums.get(&ValidationOutcome::Valid).map(|sum| sum.last_at),
            by_outcome: sums.into_iter().map(|(outcome, sum)| (outcome, sum.count)).collect(),
            series: points.into_iter().map(|(start, by_outcome)| UsagePoint { start, by_outcome }).collect(),
            breakdown: query.group_by.map(|by| Breakdown { by, shares, other: all.saturating_sub(listed) }),
            recent: Page { items: Vec::new(), next: None },
            kept: RetainedUsage::default(),
            as_of: None,
        }
    }

    /// Returns the number of valid answers. Over all time it equals the `validation_count` of the license.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_outcome.get(&ValidationOutcome::Valid).copied().unwrap_or(0)
    }

    /// Returns the number of denied answers.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.by_outcome.values().sum::<u64>() - self.total()
    }

    /// Adds the intervals without validations to the series. It begins at `from` or the first validation in
    /// a rollup, and ends at `to` or now.
    ///
    /// # Errors
    /// Returns [`UsageError::TooManyIntervals`] if there are too many.
    pub fn fill(&mut self, query: &UsageQuery, now: DateTime<Utc>) -> Result<(), UsageError> {
        let starts = query.intervals(self.series.first().map(|point| point.start), self.last_at, now)?;
        let mut points: BTreeMap<_, _> =
            self.series.drain(..).map(|point| (point.start, point.by_outcome)).collect();
        let point = |start| UsagePoint { start, by_outcome: points.remove(&start).unwrap_or_default() };
        self.series = starts.into_iter().map(point).collect();
        Ok(())
    }
}

impl UsagePoint {
    /// Returns the number of valid answers.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_outcome.get(&ValidationOutcome::Valid).copied().unwrap_or(0)
    }

    /// Returns the number of denied answers.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.by_outcome.values().sum::<u64>() - self.total()
    }
}

/// Returns the most frequent values, at most [`limits::USAGE_SHARES`]; equal counts are sorted by value.
fn most_frequent(shares: impl Iterator<Item = (Option<String>, UsageSum)>) -> Vec<UsageShare> {
    let mut shares: Vec<_> = shares.map(|(value, sum)| UsageShare { value, sum }).collect();
    shares.sort_by(|a, b| (Reverse(a.sum.count), &a.value).cmp(&(Reverse(b.sum.count), &b.value)));
    shares.truncate(limits::USAGE_SHARES);
    shares
}

/// Usage of all licenses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageOverview {
    /// The total usage.
    pub usage: UsageReport,
    /// Licenses with a valid answer in the range.
    pub active_licenses: u64,
    /// Domains with a valid answer in the range.
    pub active_domains: u64,
    /// Devices with a valid answer in the range.
    pub active_devices: u64,
    /// At most [`limits::TOP_LICENSES`] licenses, sorted by most valid answers, then by id.
    pub top_licenses: Vec<LicenseUsage>,
    /// Usage by current plan, sorted by name; only plans with validations in the range.
    pub by_plan: Vec<PlanUsage>,
}

/// Usage of one license.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseUsage {
    /// The license.
    pub license_id: LicenseId,
    /// Valid answers.
    pub total: u64,
}

/// Usage of the licenses of one plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanUsage {
    /// The name of the plan.
    pub plan: String,
    /// Licenses with a valid answer.
    pub active_licenses: u64,
    /// Valid answers.
    pub total: u64,
    /// Denied answers.
    pub denied: u64,
}

/// Sums rollups one by one into a report, for stores that cannot group in a database.
#[derive(Debug)]
pub struct UsageTally<'a> {
    query: &'a UsageQuery,
    cells: BTreeMap<(i64, ValidationOutcome), UsageSum>,
    shares: BTreeMap<Option<String>, UsageSum>,
    domains: BTreeSet<DomainName>,
    devices: BTreeSet<Fingerprint>,
    licenses: BTreeMap<LicenseId, (u64, u64)>,
}

impl<'a> UsageTally<'a> {
    /// Creates an empty tally for a query.
    #[must_use]
    pub fn new(query: &'a UsageQuery) -> Self {
        Self {
            query,
            cells: BTreeMap::new(),
            shares: BTreeMap::new(),
            domains: BTreeSet::new(),
            devices: BTreeSet::new(),
            licenses: BTreeMap::new(),
        }
    }

    /// Adds a rollup from the [sources](UsageQuery::sources) of the query. Single validations are added as
    /// [rollups](Rollup::of) too.
    pub fn add(&mut self, Rollup { key, sum }: &Rollup) {
        let slot = Interval::slot_of(self.query.interval, sum.first_at);
        let cell = self.cells.entry((slot, key.outcome));
        cell.and_modify(|sums| sums.add(sum)).or_insert(*sum);
        let value = match self.query.group_by {
            None | Some(UsageGroup::Outcome) => None,
            Some(UsageGroup::Domain) => Some(key.domain.as_ref().map(|domain| domain.as_str().to_owned())),
            Some(UsageGroup::Device) => Some(key.device.as_ref().map(|device| device.as_str().to_owned())),
            Some(UsageGroup::Country) => Some(key.country.as_ref().map(Country::to_string)),
        };
        if let Some(value) = value {
            self.shares.entry(value).and_modify(|sums| sums.add(sum)).or_insert(*sum);
        }
        let (valid, denied) = self.licenses.entry(key.license_id.clone()).or_default();
        if key.outcome == ValidationOutcome::Valid {
            *valid += sum.count;
            self.domains.extend(key.domain.clone());
            self.devices.extend(key.device.clone());
        } else {
            *denied += sum.count;
        }
    }

    /// Returns the report, without single validations.
    #[must_use]
    pub fn report(&self, earlier: impl IntoIterator<Item = (ValidationOutcome, UsageSum)>) -> UsageReport {
        let cells = self.cells.iter().map(|((slot, outcome), sum)| UsageCell {
            slot: *slot,
            outcome: *outcome,
            sum: *sum,
        });
        let shares = self.shares.iter().map(|(value, sum)| (value.clone(), *sum));
        UsageReport::new(self.query, cells, earlier, most_frequent(shares))
    }

    /// Returns the overview. `plan_of` returns the plan of a license.
    #[must_use]
    pub fn overview(
        &self,
        earlier: impl IntoIterator<Item = (ValidationOutcome, UsageSum)>,
        plan_of: impl Fn(&LicenseId) -> Option<String>,
    ) -> UsageOverview {
        let mut plans: BTreeMap<String, PlanUsage> = BTreeMap::new();
        let mut top = Vec::new();
        for (license_id, (valid, denied)) in &self.licenses {
            if let Some(plan) = plan_of(license_id) {
                let new = || PlanUsage { plan: plan.clone(), active_licenses: 0, total: 0, denied: 0 };
                let usage = plans.entry(plan.clone()).or_insert_with(new);
                usage.active_licenses += u64::from(*valid > 0);
                usage.total += valid;
                usage.denied += denied;
            }
            if *valid > 0 {
                top.push(LicenseUsage { license_id: license_id.clone(), total: *valid });
            }
        }
        let active_licenses = top.len() as u64;
        top.sort_by(|a, b| (Reverse(a.total), &a.license_id).cmp(&(Reverse(b.total), &b.license_id)));
        top.truncate(limits::TOP_LICENSES);
        UsageOverview {
            usage: self.report(earlier),
            active_licenses,
            active_domains: self.domains.len() as u64,
            active_devices: self.devices.len() as u64,
            top_licenses: top,
            by_plan: plans.into_values().collect(),
        }
    }
}

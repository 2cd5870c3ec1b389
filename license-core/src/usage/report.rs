//! What usage comes to.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{
    Interval, Rollup, UsageError, UsageGroup, UsageKept, UsageQuery, UsageSum, Validation, ValidationCursor,
    ValidationOutcome,
};
use crate::activation::Fingerprint;
use crate::domain::DomainName;
use crate::license::LicenseId;
use crate::limits;
use crate::place::Country;
use crate::store::Page;

/// What was used in a range of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageReport {
    /// Validations in the range by outcome; only outcomes that occurred.
    pub by_outcome: BTreeMap<ValidationOutcome, u64>,
    /// The first one in the range, denied ones included.
    pub first_at: Option<DateTime<Utc>>,
    /// The last one in the range, denied ones included.
    pub last_at: Option<DateTime<Utc>>,
    /// The latest valid answer in the range.
    pub last_validated_at: Option<DateTime<Utc>>,
    /// The intervals in order. Stores give those in which there were validations; a [filled](Self::fill) report has all.
    pub series: Vec<UsagePoint>,
    /// By what was asked for; `None`: nothing was.
    pub breakdown: Option<Breakdown>,
    /// Single validations in the range that are kept, newest first.
    pub recent: Page<Validation, ValidationCursor>,
    /// What the store had at that moment.
    pub kept: UsageKept,
    /// Every validation recorded before this moment is counted; `None`: every validation is.
    pub as_of: Option<DateTime<Utc>>,
}

/// One interval of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsagePoint {
    /// When it begins.
    pub start: DateTime<Utc>,
    /// Validations in it by outcome, as far as it is in the range.
    pub by_outcome: BTreeMap<ValidationOutcome, u64>,
}

/// Validations by one of their properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breakdown {
    /// By which.
    pub by: UsageGroup,
    /// The values that had most, at most [`limits::USAGE_SHARES`], most first.
    pub shares: Vec<UsageShare>,
    /// How many validations had other values, or are of a time of which single values are not kept.
    pub other: u64,
}

/// The validations with one value of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageShare {
    /// The value; `None`: unknown.
    pub value: Option<String>,
    /// How many, and when.
    pub sum: UsageSum,
}

/// The validations of one slot of time with one outcome: a row of what stores sum up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageFigure {
    /// The number of its slot, as [`Interval::slot_start`] has them.
    pub slot: i64,
    /// How they ended.
    pub outcome: ValidationOutcome,
    /// How many, and when.
    pub sum: UsageSum,
}

impl UsageReport {
    /// A report of what a store has summed up: `figures` by slot and outcome; `earlier` of rollups that are gone, where
    /// [`UsageSources::earlier`](super::UsageSources::earlier) asks for them; `shares`, where a property other than the outcome
    /// is asked for, those that had most.
    #[must_use]
    pub fn new(
        query: &UsageQuery,
        figures: impl IntoIterator<Item = UsageFigure>,
        earlier: impl IntoIterator<Item = (ValidationOutcome, UsageSum)>,
        shares: Vec<UsageShare>,
    ) -> Self {
        let (mut sums, mut points) = (BTreeMap::new(), BTreeMap::new());
        let mut add = |outcome, sum: UsageSum| {
            sums.entry(outcome).and_modify(|sums: &mut UsageSum| sums.add(&sum)).or_insert(sum);
        };
        for UsageFigure { slot, outcome, sum } in figures {
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
                let shares = sums.iter().map(|(outcome, sum)| (Some(outcome.as_str().to_owned()), *sum));
                most(shares.collect())
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
            kept: UsageKept::default(),
            as_of: None,
        }
    }

    /// Valid answers in the range. Over all time it equals the license's `validation_count`.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_outcome.get(&ValidationOutcome::Valid).copied().unwrap_or(0)
    }

    /// Denied answers in the range.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.by_outcome.values().sum::<u64>() - self.total()
    }

    /// Puts the intervals into the series in which nothing was. Without `from` it begins at the first validation that is in
    /// a rollup, without `to` it ends now.
    ///
    /// # Errors
    /// [`UsageError::TooManyIntervals`].
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
    /// Valid answers in it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_outcome.get(&ValidationOutcome::Valid).copied().unwrap_or(0)
    }

    /// Denied answers in it.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.by_outcome.values().sum::<u64>() - self.total()
    }
}

/// Those with most, at most [`limits::USAGE_SHARES`]; of equals the first by value, the unknown before all.
fn most(shares: Vec<(Option<String>, UsageSum)>) -> Vec<UsageShare> {
    let mut shares: Vec<_> = shares.into_iter().map(|(value, sum)| UsageShare { value, sum }).collect();
    shares.sort_by(|a, b| (Reverse(a.sum.count), &a.value).cmp(&(Reverse(b.sum.count), &b.value)));
    shares.truncate(limits::USAGE_SHARES);
    shares
}

/// What all licenses were used for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageOverview {
    /// All of them together.
    pub usage: UsageReport,
    /// Licenses with a valid answer in the range.
    pub active_licenses: u64,
    /// Domains likewise, by name.
    pub active_domains: u64,
    /// Devices likewise, by fingerprint.
    pub active_devices: u64,
    /// The licenses with most valid answers, at most [`limits::TOP_LICENSES`], most first, of equals by id.
    pub top_licenses: Vec<LicenseUsage>,
    /// By the plan that licenses have now, in the order of names; only plans with validations in the range.
    pub by_plan: Vec<PlanUsage>,
}

/// How much one license was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseUsage {
    /// The license.
    pub license_id: LicenseId,
    /// Valid answers.
    pub total: u64,
}

/// How much the licenses of one plan were used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanUsage {
    /// The plan's name.
    pub plan: String,
    /// Licenses with a valid answer.
    pub active_licenses: u64,
    /// Valid answers.
    pub total: u64,
    /// Denied ones.
    pub denied: u64,
}

/// Sums rollups up, one by one, to a report: what a database does by grouping, for stores without one.
#[derive(Debug)]
pub struct UsageTally<'a> {
    query: &'a UsageQuery,
    figures: BTreeMap<(i64, ValidationOutcome), UsageSum>,
    shares: BTreeMap<Option<String>, UsageSum>,
    domains: BTreeSet<DomainName>,
    devices: BTreeSet<Fingerprint>,
    licenses: BTreeMap<LicenseId, (u64, u64)>,
}

impl<'a> UsageTally<'a> {
    /// An empty one for that query.
    #[must_use]
    pub fn new(query: &'a UsageQuery) -> Self {
        Self {
            query,
            figures: BTreeMap::new(),
            shares: BTreeMap::new(),
            domains: BTreeSet::new(),
            devices: BTreeSet::new(),
            licenses: BTreeMap::new(),
        }
    }

    /// Adds a rollup, or one [of a single validation](Rollup::of), that belongs to the query's
    /// [sources](UsageQuery::sources).
    pub fn add(&mut self, Rollup { key, sum }: &Rollup) {
        let slot = Interval::slot_of(self.query.interval, sum.first_at);
        let figure = self.figures.entry((slot, key.outcome));
        figure.and_modify(|sums| sums.add(sum)).or_insert(*sum);
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

    /// The report of what was added, without single validations.
    #[must_use]
    pub fn report(&self, earlier: impl IntoIterator<Item = (ValidationOutcome, UsageSum)>) -> UsageReport {
        let figures = self.figures.iter().map(|((slot, outcome), sum)| UsageFigure {
            slot: *slot,
            outcome: *outcome,
            sum: *sum,
        });
        let shares = self.shares.iter().map(|(value, sum)| (value.clone(), *sum));
        UsageReport::new(self.query, figures, earlier, most(shares.collect()))
    }

    /// The overview likewise. `plan_of` names a license's plan.
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

//! Rollups: daily sums of similar validations, kept longer than single validations.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::{Validation, ValidationOutcome};
use crate::domain::DomainName;
use crate::license::{Fingerprint, LicenseId};
use crate::usage::Country;
use crate::validation::Claim;

/// A UTC day, numbered from 1970-01-01 as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// Microseconds per day.
    pub const MICROS: i64 = 86_400_000_000;

    /// Returns the day of a time.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros().div_euclid(Self::MICROS))
    }

    /// Returns the first day that begins at or after a time.
    #[must_use]
    pub fn not_before(at: DateTime<Utc>) -> Self {
        let day = Self::of(at);
        if day.start() == at { day } else { Self(day.0.saturating_add(1)) }
    }

    /// Returns the number.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }

    /// Creates a day from its number.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Returns the start of the day, clamped to the supported range.
    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        let outside = if self.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        self.0.checked_mul(Self::MICROS).and_then(DateTime::from_timestamp_micros).unwrap_or(outside)
    }

    /// Parses a date such as `2027-01-31`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let date: NaiveDate = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Some(Self::of(date.and_time(NaiveTime::MIN).and_utc()))
    }
}

/// Writes the date, such as `2027-01-31`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.start().format("%Y-%m-%d").fmt(f)
    }
}

/// The common properties of the validations in a rollup. Sorted by day, then by the texts of the other
/// fields; unknown values come first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RollupKey {
    /// The day.
    pub day: Day,
    /// The license.
    pub license_id: LicenseId,
    /// The outcome.
    pub outcome: ValidationOutcome,
    /// The domain, if given.
    pub domain: Option<DomainName>,
    /// The device, if given.
    pub device: Option<Fingerprint>,
    /// The country, if known.
    pub country: Option<Country>,
}

impl RollupKey {
    /// Returns the fields after the day as texts; unknown values are empty.
    #[must_use]
    pub fn texts(&self) -> [&str; 5] {
        let Self { day: _, license_id, outcome, domain, device, country } = self;
        [
            license_id.as_str(),
            outcome.as_str(),
            domain.as_ref().map_or("", DomainName::as_str),
            device.as_ref().map_or("", Fingerprint::as_str),
            country.as_ref().map_or("", Country::as_str),
        ]
    }
}

impl PartialOrd for RollupKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RollupKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.day, self.texts()).cmp(&(other.day, other.texts()))
    }
}

/// Filters rollups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollupFilter {
    /// Only this license, if given.
    pub license_id: Option<LicenseId>,
}

impl RollupFilter {
    /// Returns whether a rollup matches.
    #[must_use]
    pub fn matches(&self, key: &RollupKey) -> bool {
        self.license_id.as_ref().is_none_or(|id| *id == key.license_id)
    }
}

/// A count of validations with the first and last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageSum {
    /// The count.
    pub count: u64,
    /// The first time.
    pub first_at: DateTime<Utc>,
    /// The last time.
    pub last_at: DateTime<Utc>,
}

impl UsageSum {
    /// Returns the sum of one validation.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        Self { count: 1, first_at: at, last_at: at }
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
    }
}

/// Similar validations of one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollup {
    /// The common properties.
    pub key: RollupKey,
    /// The count and times.
    pub sum: UsageSum,
}

impl Rollup {
    /// Returns the rollup of one validation.
    #[must_use]
    pub fn of(validation: &Validation) -> Self {
        let Validation { license_id, at, outcome, claim, covered_by: _, location, client: _ } = validation;
        let Claim { domain, fingerprint, .. } = claim;
        let key = RollupKey {
            day: Day::of(*at),
            license_id: license_id.clone(),
            outcome: *outcome,
            domain: domain.clone(),
            device: fingerprint.clone(),
            country: location.as_ref().map(|location| location.country),
        };
        Self { key, sum: UsageSum::of(*at) }
    }
}

/// Sums validations into rollups.
#[must_use]
pub fn roll_up<'a>(validations: impl IntoIterator<Item = &'a Validation>) -> BTreeMap<RollupKey, UsageSum> {
    let mut rollups = BTreeMap::new();
    for validation in validations {
        let Rollup { key, sum } = Rollup::of(validation);
        rollups.entry(key).and_modify(|sums: &mut UsageSum| sums.add(&sum)).or_insert(sum);
    }
    rollups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_even_before_1970() {
        for (micros, day, not_before) in [
            (0, 0, 0),
            (1, 0, 1),
            (-1, -1, 0),
            (Day::MICROS - 1, 0, 1),
            (Day::MICROS, 1, 1),
            (-Day::MICROS, -1, -1),
            (-Day::MICROS - 1, -2, -1),
        ] {
            let at = DateTime::from_timestamp_micros(micros).expect("a time");
            assert_eq!((Day::of(at).number(), Day::not_before(at).number()), (day, not_before), "{micros}");
        }
        assert_eq!(Day::from_number(i64::MAX).start(), DateTime::<Utc>::MAX_UTC);
        assert_eq!(Day::from_number(i64::MIN).start(), DateTime::<Utc>::MIN_UTC);
    }
}

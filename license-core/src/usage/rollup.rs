//! Sums of validations that are alike, kept for longer than the single ones.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Validation, ValidationOutcome};
use crate::activation::Fingerprint;
use crate::domain::DomainName;
use crate::license::LicenseId;
use crate::place::Country;
use crate::verdict::Claim;

/// A day of UTC, by its number: 0 is the first of 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// Microseconds of one.
    pub const MICROS: i64 = 86_400_000_000;

    /// The one that a moment is in.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros().div_euclid(Self::MICROS))
    }

    /// The first that begins at a moment or after it.
    #[must_use]
    pub fn not_before(at: DateTime<Utc>) -> Self {
        let day = Self::of(at);
        if day.start() == at { day } else { Self(day.0.saturating_add(1)) }
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }

    /// The one with that number.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// When it begins; the first or the last moment there is where that is out of range.
    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        let outside = if self.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        self.0.checked_mul(Self::MICROS).and_then(DateTime::from_timestamp_micros).unwrap_or(outside)
    }
}

/// What the validations of one rollup have in common. Ordered as stores list them: by the texts of its parts, from the day on;
/// what is unknown comes first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RollupKey {
    /// The day.
    pub day: Day,
    /// The license.
    pub license_id: LicenseId,
    /// How they ended.
    pub outcome: ValidationOutcome,
    /// The domain that they were for.
    pub domain: Option<DomainName>,
    /// The device.
    pub device: Option<Fingerprint>,
    /// The country that they came from.
    pub country: Option<Country>,
}

impl RollupKey {
    /// Its parts behind the day, as texts; empty for what is unknown. None of them is empty otherwise.
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

/// Which rollups to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollupFilter {
    /// Of this license only.
    pub license_id: Option<LicenseId>,
}

impl RollupFilter {
    /// Whether one passes.
    #[must_use]
    pub fn admits(&self, key: &RollupKey) -> bool {
        self.license_id.as_ref().is_none_or(|id| *id == key.license_id)
    }
}

/// How many, and when the first and the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageSum {
    /// How many.
    pub count: u64,
    /// The first.
    pub first_at: DateTime<Utc>,
    /// The last.
    pub last_at: DateTime<Utc>,
}

impl UsageSum {
    /// Of one.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        Self { count: 1, first_at: at, last_at: at }
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
    }
}

/// All validations of a day that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollup {
    /// What they have in common.
    pub key: RollupKey,
    /// How many, and when.
    pub sum: UsageSum,
}

impl Rollup {
    /// Of one validation.
    #[must_use]
    pub fn of(validation: &Validation) -> Self {
        let Validation { license_id, at, outcome, claim, covered_by: _, place, client: _ } = validation;
        let Claim { domain, fingerprint } = claim;
        let key = RollupKey {
            day: Day::of(*at),
            license_id: license_id.clone(),
            outcome: *outcome,
            domain: domain.clone(),
            device: fingerprint.clone(),
            country: place.as_ref().map(|place| place.country),
        };
        Self { key, sum: UsageSum::of(*at) }
    }
}

/// The rollups of these validations: the rule that stores keep, and by which they can be counted anew.
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
    fn days_begin_at_midnight_before_1970_too() {
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

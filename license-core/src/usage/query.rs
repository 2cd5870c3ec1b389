//! Usage queries, and the sources they are answered from.

use chrono::{DateTime, Datelike, Months, TimeDelta, Utc};

use super::{Day, ValidationCursor};
use crate::limits;
use crate::page::PageRequest;
use crate::text_enum::text_enum;

text_enum! {
    /// The length of the intervals in a series, aligned to UTC.
    Interval {
        /// An hour.
        Hour = "hour",
        /// A day.
        Day = "day",
        /// A month.
        Month = "month",
    }
}

text_enum! {
    /// The property of a usage breakdown.
    UsageGroup {
        /// The outcome.
        Outcome = "outcome",
        /// The domain.
        Domain = "domain",
        /// The device.
        Device = "device",
        /// The country.
        Country = "country",
    }
}

impl Interval {
    const HOUR_MICROS: i64 = 3_600_000_000;

    /// Returns the start of the interval that contains a time.
    #[must_use]
    pub fn start_of(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let start = Self::slot_start(Some(self), Self::slot_of(Some(self), at));
        if self == Self::Month { start.with_day(1).unwrap_or(start) } else { start }
    }

    /// Returns the start of the next interval after the one that begins at `start`.
    #[must_use]
    pub fn after(self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Hour => start.checked_add_signed(TimeDelta::hours(1)),
            Self::Day => start.checked_add_signed(TimeDelta::days(1)),
            Self::Month => start.checked_add_months(Months::new(1)),
        }
    }

    /// Returns the start of a slot. Stores sum by slots: hours if hours are requested, days otherwise.
    #[must_use]
    pub fn slot_start(interval: Option<Self>, slot: i64) -> DateTime<Utc> {
        match interval {
            Some(Self::Hour) => {
                let micros = slot.checked_mul(Self::HOUR_MICROS);
                micros.and_then(DateTime::from_timestamp_micros).unwrap_or(DateTime::<Utc>::MIN_UTC)
            }
            Some(Self::Day | Self::Month) | None => Day::from_number(slot).start(),
        }
    }

    /// Returns the slot that contains a time.
    #[must_use]
    pub fn slot_of(interval: Option<Self>, at: DateTime<Utc>) -> i64 {
        match interval {
            Some(Self::Hour) => at.timestamp_micros().div_euclid(Self::HOUR_MICROS),
            Some(Self::Day | Self::Month) | None => Day::of(at).number(),
        }
    }
}

/// A usage query.
#[derive(Clone, Debug, Default)]
pub struct UsageQuery {
    /// Start of the range, inclusive; `None` is unbounded.
    pub from: Option<DateTime<Utc>>,
    /// End of the range, exclusive; `None` is unbounded.
    pub to: Option<DateTime<Utc>>,
    /// The intervals of the series, if requested.
    pub interval: Option<Interval>,
    /// The property to break down by, if any.
    pub group_by: Option<UsageGroup>,
    /// The page of single validations.
    pub page: PageRequest<ValidationCursor>,
}

/// The sources that answer a query, so that each validation in its range counts once: rollups of whole days,
/// and single validations for days that the range covers in part.
///
/// Ranges are half-open, and empty unless the end is above the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageSources {
    /// Range of [day](Day) numbers, answered from rollups.
    pub days: (i64, i64),
    /// Ranges in microseconds, answered from single validations.
    pub records: [(i64, i64); 2],
    /// The whole range in microseconds.
    pub range: (i64, i64),
    /// Whether sums of removed rollups are included, because the range has no start.
    pub earlier: bool,
}

const NONE: (i64, i64) = (0, 0);

impl UsageQuery {
    /// Returns the sources of this query.
    #[must_use]
    pub fn sources(&self) -> UsageSources {
        let (from, to) = (
            self.from.map_or(i64::MIN, |at| at.timestamp_micros()),
            self.to.map_or(i64::MAX, |at| at.timestamp_micros()),
        );
        let (range, earlier) = ((from, to), self.from.is_none());
        if from >= to {
            return UsageSources { days: NONE, records: [NONE; 2], range: NONE, earlier: false };
        }
        let first = self.from.map_or(i64::MIN, |at| Day::not_before(at).number());
        let last = self.to.map_or(i64::MAX, |at| Day::of(at).number());
        if self.interval == Some(Interval::Hour) || first > last {
            return UsageSources { days: NONE, records: [range, NONE], range, earlier };
        }
        let edge = |day: i64| day.saturating_mul(Day::MICROS);
        let before = if self.from.is_some() { (from, edge(first)) } else { NONE };
        let behind = if self.to.is_some() { (edge(last), to) } else { NONE };
        UsageSources { days: (first, last), records: [before, behind], range, earlier }
    }

    /// Returns the query with an open end closed after tomorrow. Later validations were recorded by a clock
    /// that was ahead.
    #[must_use]
    pub fn bounded(&self, now: DateTime<Utc>) -> Self {
        let end = Day::from_number(Day::of(now).number().saturating_add(2)).start();
        Self { to: self.to.or(Some(end)), ..self.clone() }
    }

    /// Checks that the store still has the data for this query.
    ///
    /// # Errors
    /// Returns [`UsageError`] with the parameter and the earliest time that can be queried.
    pub fn check(&self, kept: &RetainedUsage) -> Result<(), UsageError> {
        if let Some(since) = kept.rollups_from.map(Day::start) {
            for (parameter, at) in [("from", self.from), ("to", self.to)] {
                if at.is_some_and(|at| at < since) {
                    return Err(UsageError::Gone { parameter, since });
                }
            }
        }
        let Some(since) = kept.records_from else { return Ok(()) };
        let sources = self.sources();
        let cut =
            sources.records.iter().find(|(start, end)| start < end && *start < since.timestamp_micros());
        match cut {
            None => Ok(()),
            Some((start, _)) => {
                let at_start = self.interval == Some(Interval::Hour) || *start == sources.range.0;
                Err(UsageError::WholeDaysOnly { parameter: if at_start { "from" } else { "to" }, since })
            }
        }
    }

    /// Returns the starts of the intervals in the series. An open range begins at `first`, and ends at the
    /// later of `last` and `now`.
    ///
    /// # Errors
    /// Returns [`UsageError::TooManyIntervals`] if there are more than [`limits::USAGE_INTERVALS`].
    pub fn intervals(
        &self,
        first: Option<DateTime<Utc>>,
        last: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Vec<DateTime<Utc>>, UsageError> {
        let (Some(interval), Some(from)) = (self.interval, self.from.or(first)) else {
            return Ok(Vec::new());
        };
        let last = last.map_or(now, |last| last.max(now));
        let mut starts = Vec::new();
        let mut next = (self.to.is_none_or(|to| from < to)).then(|| interval.start_of(from));
        while let Some(start) = next.filter(|start| self.to.map_or(*start <= last, |to| *start < to)) {
            if starts.len() == limits::USAGE_INTERVALS {
                return Err(UsageError::TooManyIntervals);
            }
            starts.push(start);
            next = interval.after(start);
        }
        Ok(starts)
    }
}

/// Retention times of usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageRetention {
    /// Days to keep single validations.
    pub record_days: u32,
    /// Days to keep rollups.
    pub rollup_days: u32,
}

impl Default for UsageRetention {
    /// 30 days for single validations, two years for rollups.
    fn default() -> Self {
        Self { record_days: 30, rollup_days: 730 }
    }
}

impl UsageRetention {
    /// Returns the usage to keep at `now`, in whole days.
    #[must_use]
    pub fn at(&self, now: DateTime<Utc>) -> RetainedUsage {
        let today = Day::of(now).number();
        let back = |days: u32| Day::from_number(today.saturating_sub(i64::from(days)));
        RetainedUsage {
            records_from: Some(back(self.record_days).start()),
            rollups_from: Some(back(self.rollup_days)),
        }
    }
}

/// The usage data that a store keeps. Older validations are in the totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetainedUsage {
    /// Single validations from this time on; `None` is all.
    pub records_from: Option<DateTime<Utc>>,
    /// Rollups from this day on; `None` is all.
    pub rollups_from: Option<Day>,
}

impl RetainedUsage {
    /// Returns the restriction after an import of rollups up to `newest`, without their single validations.
    #[must_use]
    pub fn imported(newest: Day) -> Self {
        let next = Day::from_number(newest.number().saturating_add(1));
        Self { records_from: Some(next.start()), rollups_from: None }
    }

    /// Returns whether rollups of this day are kept.
    #[must_use]
    pub fn has_rollups_of(&self, day: Day) -> bool {
        self.rollups_from.is_none_or(|from| from <= day)
    }

    /// Combines two restrictions.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            records_from: self.records_from.max(other.records_from),
            rollups_from: self.rollups_from.max(other.rollups_from),
        }
    }
}

/// The reason why usage cannot be reported as requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsageError {
    /// Only totals are kept for this time.
    #[error("usage is available from {} on", rfc3339(*.since))]
    Gone {
        /// The parameter.
        parameter: &'static str,
        /// The earliest available time.
        since: DateTime<Utc>,
    },
    /// Only whole days are kept for this time.
    #[error(
        "hours and parts of days are available from {} on; for earlier times, ask for whole UTC days",
        rfc3339(*.since)
    )]
    WholeDaysOnly {
        /// The parameter.
        parameter: &'static str,
        /// The earliest available time.
        since: DateTime<Utc>,
    },
    /// The series has too many intervals.
    #[error(
        "a series can have at most {} intervals: choose longer intervals or a shorter range",
        limits::USAGE_INTERVALS
    )]
    TooManyIntervals,
}

impl UsageError {
    /// Returns the invalid parameter.
    #[must_use]
    pub fn parameter(&self) -> &'static str {
        match self {
            Self::Gone { parameter, .. } | Self::WholeDaysOnly { parameter, .. } => parameter,
            Self::TooManyIntervals => "interval",
        }
    }
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests;

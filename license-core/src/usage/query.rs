//! What is asked of usage, and what it is answered from.

use chrono::{DateTime, Months, TimeDelta, Utc};

use super::{Day, ValidationCursor};
use crate::limits;
use crate::store::PageRequest;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name in requests.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The one of that name.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text)
            }
        }
    };
}

named! {
    /// How long the intervals of a series are. They begin where those of UTC do.
    Interval {
        /// An hour.
        Hour = "hour",
        /// A day.
        Day = "day",
        /// A month.
        Month = "month",
    }
}

named! {
    /// By what usage is broken down.
    UsageGroup {
        /// By how validations ended.
        Outcome = "outcome",
        /// By the domain that they were for.
        Domain = "domain",
        /// By the device.
        Device = "device",
        /// By the country that they came from.
        Country = "country",
    }
}

impl Interval {
    const HOUR_MICROS: i64 = 3_600_000_000;

    /// When the interval began that a moment is in.
    #[must_use]
    pub fn start_of(self, at: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Hour => Self::hour(at.timestamp_micros().div_euclid(Self::HOUR_MICROS)),
            Self::Day => Day::of(at).start(),
            Self::Month => {
                use chrono::Datelike;
                let day = Day::of(at).start();
                day.checked_sub_signed(TimeDelta::days(i64::from(day.day0())))
                    .unwrap_or(DateTime::<Utc>::MIN_UTC)
            }
        }
    }

    /// When the next one begins after the one that begins at `start`.
    #[must_use]
    pub fn after(self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Hour => start.checked_add_signed(TimeDelta::hours(1)),
            Self::Day => start.checked_add_signed(TimeDelta::days(1)),
            Self::Month => start.checked_add_months(Months::new(1)),
        }
    }

    fn hour(number: i64) -> DateTime<Utc> {
        let micros = number.checked_mul(Self::HOUR_MICROS);
        micros.and_then(DateTime::from_timestamp_micros).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// When the slot with that number began: stores sum by slots, of an hour where hours are asked for, else of a day.
    #[must_use]
    pub fn slot_start(interval: Option<Self>, slot: i64) -> DateTime<Utc> {
        match interval {
            Some(Self::Hour) => Self::hour(slot),
            Some(Self::Day | Self::Month) | None => Day::from_number(slot).start(),
        }
    }

    /// The slot that a moment is in.
    #[must_use]
    pub fn slot_of(interval: Option<Self>, at: DateTime<Utc>) -> i64 {
        match interval {
            Some(Self::Hour) => at.timestamp_micros().div_euclid(Self::HOUR_MICROS),
            Some(Self::Day | Self::Month) | None => Day::of(at).number(),
        }
    }
}

/// Which validations to report, and how.
#[derive(Clone, Debug, Default)]
pub struct UsageQuery {
    /// From this moment on; `None`: from the first.
    pub from: Option<DateTime<Utc>>,
    /// Before this moment; `None`: to the last.
    pub to: Option<DateTime<Utc>>,
    /// The intervals of the series; `None`: there is none.
    pub interval: Option<Interval>,
    /// By what it is broken down; `None`: not at all.
    pub group_by: Option<UsageGroup>,
    /// Which page of the single records.
    pub page: PageRequest<ValidationCursor>,
}

/// From what a query is answered, so that each validation of its range is counted once: rollups of whole days, and single
/// validations where the range cuts a day. Half-open; empty where the end is not above the start. What a store has recorded and not
/// rolled up yet comes to it, of the whole range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageSources {
    /// Numbers of [days](Day).
    pub days: (i64, i64),
    /// Times in microseconds.
    pub records: [(i64, i64); 2],
    /// The whole range, likewise.
    pub range: (i64, i64),
    /// Whether sums of rollups that are gone belong to it: the range has no start.
    pub earlier: bool,
}

const NONE: (i64, i64) = (0, 0);

impl UsageQuery {
    /// From what it is answered.
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
        if self.interval == Some(Interval::Hour) {
            return UsageSources { days: NONE, records: [range, NONE], range, earlier };
        }
        let first = self.from.map_or(i64::MIN, |at| Day::not_before(at).number());
        let last = self.to.map_or(i64::MAX, |at| Day::of(at).number());
        if first > last {
            return UsageSources { days: NONE, records: [range, NONE], range, earlier };
        }
        let edge = |day: i64| day.saturating_mul(Day::MICROS);
        let before = if self.from.is_some() { (from, edge(first)) } else { NONE };
        let behind = if self.to.is_some() { (edge(last), to) } else { NONE };
        UsageSources { days: (first, last), records: [before, behind], range, earlier }
    }

    /// Whether what it takes is kept.
    ///
    /// # Errors
    /// [`UsageError`], which names the parameter and from when on it can be asked.
    pub fn check(&self, kept: &UsageKept) -> Result<(), UsageError> {
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
                Err(UsageError::NotSingle { parameter: if at_start { "from" } else { "to" }, since })
            }
        }
    }

    /// The starts of the intervals of its series, where it asks for one: from `from`, or from the first validation that is known,
    /// to `to`, or to `now`.
    ///
    /// # Errors
    /// [`UsageError::TooManyIntervals`].
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

/// How long usage is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageRetention {
    /// Single validations, in days.
    pub record_days: u32,
    /// Rollups, in days.
    pub rollup_days: u32,
}

impl Default for UsageRetention {
    /// 30 days, and two years.
    fn default() -> Self {
        Self { record_days: 30, rollup_days: 730 }
    }
}

impl UsageRetention {
    /// What is to be kept at `now`: whole days, so that none is kept in part.
    #[must_use]
    pub fn at(&self, now: DateTime<Utc>) -> UsageKept {
        let today = Day::of(now).number();
        let back = |days: u32| Day::from_number(today.saturating_sub(i64::from(days)));
        UsageKept {
            records_from: Some(back(self.record_days).start()),
            rollups_from: Some(back(self.rollup_days)),
        }
    }
}

/// What is kept of usage. Older validations are in the totals of all time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageKept {
    /// Single validations of this moment and later; `None`: all.
    pub records_from: Option<DateTime<Utc>>,
    /// Rollups of this day and later; `None`: all.
    pub rollups_from: Option<Day>,
}

impl UsageKept {
    /// What is kept where rollups of days up to `newest` came from elsewhere, without their single validations.
    #[must_use]
    pub fn imported(newest: Day) -> Self {
        let next = Day::from_number(newest.number().saturating_add(1));
        Self { records_from: Some(next.start()), rollups_from: None }
    }

    /// Whether rollups of that day are kept.
    #[must_use]
    pub fn has_rollups_of(&self, day: Day) -> bool {
        self.rollups_from.is_none_or(|from| from <= day)
    }

    /// What is kept where both were applied.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            records_from: self.records_from.max(other.records_from),
            rollups_from: self.rollups_from.max(other.rollups_from),
        }
    }
}

/// A report of usage can't be given as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsageError {
    /// Nothing is kept of that time but the total.
    #[error("usage is kept from {} on", rfc3339(*.since))]
    Gone {
        /// The parameter at fault.
        parameter: &'static str,
        /// From when on.
        since: DateTime<Utc>,
    },
    /// Of that time whole days are kept, and no single validations.
    #[error(
        "hours and parts of days are kept from {} on; of earlier times ask for whole days of UTC",
        rfc3339(*.since)
    )]
    NotSingle {
        /// The parameter at fault.
        parameter: &'static str,
        /// From when on.
        since: DateTime<Utc>,
    },
    /// The series would be too long.
    #[error(
        "a series has at most {} intervals: name longer ones, or a shorter range",
        limits::USAGE_INTERVALS
    )]
    TooManyIntervals,
}

impl UsageError {
    /// The parameter at fault.
    #[must_use]
    pub fn parameter(&self) -> &'static str {
        match self {
            Self::Gone { parameter, .. } | Self::NotSingle { parameter, .. } => parameter,
            Self::TooManyIntervals => "interval",
        }
    }
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests;

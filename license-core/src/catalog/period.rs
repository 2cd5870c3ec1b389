//! Periods of the calendar.

use chrono::{DateTime, Datelike, Months, TimeDelta, Utc};

use crate::limits;

/// A whole number of days, months or years, counted in UTC.
///
/// ```
/// use license_core::catalog::Period;
/// let issued = "2027-01-31T09:00:00Z".parse()?;
/// assert_eq!(Period::Months(1).after(issued, None), Some("2027-02-28T09:00:00Z".parse()?));
/// assert_eq!(Period::Years(1).after(issued, None), Some("2028-01-31T09:00:00Z".parse()?));
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// Days of 24 hours.
    Days(u32),
    /// Calendar months.
    Months(u32),
    /// Calendar years.
    Years(u32),
}

impl Period {
    /// Returns the end of a period that begins at `from`, at the same time of the day. Returns `None` if no
    /// time can represent it.
    ///
    /// Months and years end on the day of the month on which they began, or on the last day of a shorter
    /// month. `anchor_day` is the day on which the first of several periods began. It replaces the day of
    /// `from` if `from` is on that day, or on the last day of a shorter month.
    #[must_use]
    pub fn after(self, from: DateTime<Utc>, anchor_day: Option<u8>) -> Option<DateTime<Utc>> {
        let months = match self {
            Self::Days(days) => return from.checked_add_signed(TimeDelta::days(days.into())),
            Self::Months(months) => months,
            Self::Years(years) => years.checked_mul(12)?,
        };
        let first = from.with_day(1)?.checked_add_months(Months::new(months))?;
        first.with_day(day_in_month(first, self::anchor_day(from, anchor_day).into()))
    }

    /// Returns the anchor day of the period that follows one from `from` to `end`.
    pub(crate) fn next_anchor_day(
        self,
        from: DateTime<Utc>,
        anchor_day: Option<u8>,
        end: DateTime<Utc>,
    ) -> u8 {
        match self {
            Self::Days(_) => self::anchor_day(end, None),
            Self::Months(_) | Self::Years(_) => self::anchor_day(from, anchor_day),
        }
    }

    /// Returns the period with the one number that is given, as in a file.
    pub(super) fn given(
        days: Option<u32>,
        months: Option<u32>,
        years: Option<u32>,
    ) -> Result<Self, PeriodError> {
        match (days, months, years) {
            (Some(days), None, None) => Ok(Self::Days(days)),
            (None, Some(months), None) => Ok(Self::Months(months)),
            (None, None, Some(years)) => Ok(Self::Years(years)),
            _ => Err(PeriodError),
        }
    }

    /// Returns the numbers of days, months and years, of which one is given.
    pub(super) fn numbers(self) -> [Option<u32>; 3] {
        match self {
            Self::Days(days) => [Some(days), None, None],
            Self::Months(months) => [None, Some(months), None],
            Self::Years(years) => [None, None, Some(years)],
        }
    }

    /// Returns whether the period is within its limits.
    pub(super) fn is_supported(self) -> bool {
        let (number, most) = match self {
            Self::Days(days) => (days, limits::PLAN_DAYS),
            Self::Months(months) => (months, limits::PLAN_MONTHS),
            Self::Years(years) => (years, limits::PLAN_YEARS),
        };
        (1..=most).contains(&number)
    }
}

/// Returns `anchor` if `time` is on that day or on the last day of a shorter month, otherwise the day of
/// `time`.
pub(crate) fn anchor_day(time: DateTime<Utc>, anchor: Option<u8>) -> u8 {
    let is_anchor = |day: &u8| time.day() == day_in_month(time, u32::from(*day));
    anchor.filter(is_anchor).unwrap_or_else(|| u8::try_from(time.day()).unwrap_or(u8::MAX))
}

/// Returns the day, or the last day of the month of `time` if that is earlier.
fn day_in_month(time: DateTime<Utc>, day: u32) -> u32 {
    day.min(time.num_days_in_month().into())
}

/// The fields are not one period.
#[derive(Debug, thiserror::Error)]
#[error("give exactly one of days, months and years")]
pub(super) struct PeriodError;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        let text = if text.contains('T') { text.to_owned() } else { format!("{text}T09:30:00.123456Z") };
        text.parse().unwrap()
    }

    #[test]
    fn period_ends_on_its_day_or_the_last_of_the_month() {
        for (from, period, end) in [
            ("2027-06-15", Period::Years(1), "2028-06-15"),
            ("2027-01-31", Period::Months(1), "2027-02-28"),
            ("2028-01-31", Period::Months(1), "2028-02-29"),
            ("2028-02-29", Period::Years(1), "2029-02-28"),
            ("2028-02-29", Period::Years(4), "2032-02-29"),
            ("2096-02-29", Period::Years(4), "2100-02-28"),
            ("2027-03-31", Period::Months(1), "2027-04-30"),
            ("2027-12-31", Period::Months(2), "2028-02-29"),
            ("2027-02-28", Period::Months(1), "2027-03-28"),
            ("2027-01-31", Period::Days(1), "2027-02-01"),
            ("2027-06-15", Period::Days(365), "2028-06-14"),
            ("2027-06-15", Period::Months(1200), "2127-06-15"),
            ("2027-06-15T23:59:59.999999Z", Period::Months(1), "2027-07-15T23:59:59.999999Z"),
        ] {
            assert_eq!(period.after(time(from), None), Some(time(end)), "{from} {period:?}");
        }
        assert_eq!(Period::Years(u32::MAX).after(time("2027-01-31"), None), None);
        assert_eq!(Period::Months(u32::MAX).after(time("2027-01-31"), None), None);
    }

    #[test]
    fn anchor_counts_only_where_it_is_the_day() {
        for (from, anchor, end) in [
            ("2027-02-28", 31, "2027-03-31"),
            ("2028-02-29", 31, "2028-03-31"),
            ("2028-02-28", 31, "2028-03-28"),
            ("2027-04-30", 31, "2027-05-31"),
            ("2027-04-29", 31, "2027-05-29"),
            ("2027-03-30", 1, "2027-04-30"),
            ("2027-02-28", 28, "2027-03-28"),
        ] {
            assert_eq!(Period::Months(1).after(time(from), Some(anchor)), Some(time(end)), "{from} {anchor}");
        }
    }

    proptest! {
        /// Renewed periods end on their day or the last day of a shorter month, always later, and together
        /// as late as one long period.
        #[test]
        fn renewed_periods_never_drift_nor_shorten(
            seconds in 0_i64..7_000_000_000, months in 1_u32..=36, renewals in 1_u32..=60,
        ) {
            let start = DateTime::from_timestamp(seconds, 123_456_000).unwrap();
            let anchor = u8::try_from(start.day()).unwrap();
            let mut end = start;
            for n in 1..=renewals {
                let next = Period::Months(months).after(end, Some(anchor)).unwrap();
                prop_assert!(next > end);
                prop_assert_eq!(next.time(), start.time());
                prop_assert!(next.day() == start.day() || next.day() == u32::from(next.num_days_in_month()));
                prop_assert_eq!(Period::Months(months * n).after(start, None), Some(next));
                end = next;
            }
            let years = (0..renewals).try_fold(start, |end, _| Period::Years(1).after(end, Some(anchor)));
            prop_assert_eq!(years, Period::Years(renewals).after(start, None));
        }
    }
}

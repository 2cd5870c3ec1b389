//! Events about the end of a term: which are due, and which was the last.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::CLOCK_TOLERANCE;
use crate::limits;

/// The last event about the end of a term. A new `expires_at` removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryNotice {
    /// The reminder: days before the end of the term. 0 is `license.expired`.
    pub days: u16,
    /// When the event was written.
    pub at: DateTime<Utc>,
}

impl ExpiryNotice {
    /// Returns the time after which no notice was written by a correct clock. Stores forget later notices, so
    /// that a clock that was ahead does not suppress the event of the real end.
    #[must_use]
    pub fn latest(now: DateTime<Utc>) -> DateTime<Utc> {
        now.checked_add_signed(CLOCK_TOLERANCE).unwrap_or(now)
    }
}

/// How many days before the end of a term `license.expiring` is written, in descending order.
///
/// ```
/// use license_core::license::Reminders;
/// let reminders: Reminders = "30,7,1".parse()?;
/// assert_eq!(reminders.to_string(), "30,7,1");
/// # Ok::<(), license_core::license::RemindersError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminders(Vec<u16>);

impl Default for Reminders {
    /// A week before the end.
    fn default() -> Self {
        Self(vec![7])
    }
}

impl Reminders {
    /// Returns the reminder that is due if this much of a term is left: the one with the fewest days.
    #[must_use]
    pub fn due(&self, left: TimeDelta) -> Option<u16> {
        self.0.iter().rev().copied().find(|days| left <= TimeDelta::days((*days).into()))
    }

    /// Returns the end of the terms that may need an event after the notice `last`, or the first event.
    #[must_use]
    pub fn ends_until(&self, last: Option<u16>, now: DateTime<Utc>) -> DateTime<Utc> {
        let next = self.0.iter().copied().find(|days| last.is_none_or(|last| *days < last)).unwrap_or(0);
        now.checked_add_signed(TimeDelta::days(next.into())).unwrap_or(now)
    }
}

/// Parses a comma-separated list of days.
impl FromStr for Reminders {
    type Err = RemindersError;

    fn from_str(text: &str) -> Result<Self, RemindersError> {
        let days = text.split(',').map(|days| days.trim().parse().ok());
        let days: Option<Vec<u16>> = days.collect();
        let mut days = days.ok_or(RemindersError)?;
        if days.len() > limits::REMINDERS || days.iter().any(|days| !limits::REMINDER_DAYS.contains(days)) {
            return Err(RemindersError);
        }
        days.sort_unstable_by(|a, b| b.cmp(a));
        days.dedup();
        Ok(Self(days))
    }
}

impl std::fmt::Display for Reminders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let days: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&days.join(","))
    }
}

/// The text is not a list of reminders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "reminders must be up to {} numbers of days from {} to {}, such as 30,7,1",
    limits::REMINDERS,
    limits::REMINDER_DAYS.start(),
    limits::REMINDER_DAYS.end()
)]
pub struct RemindersError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reminders_parse_from_text() {
        let most: Vec<_> = (1..=limits::REMINDERS).map(|days| days.to_string()).collect();
        for (text, shown) in [("7", "7"), ("1, 30,7", "30,7,1"), ("7,7", "7"), ("365,1", "365,1")] {
            assert_eq!(text.parse::<Reminders>().map(|found| found.to_string()), Ok(shown.to_owned()));
        }
        assert!(most.join(",").parse::<Reminders>().is_ok());
        let past = format!("{},20", most.join(","));
        for refused in ["", "0", "366", "-1", "7,", "7;1", "1.5", "70000", "week", &past] {
            assert_eq!(refused.parse::<Reminders>(), Err(RemindersError), "{refused:?}");
        }
    }

    #[test]
    fn reminder_with_the_fewest_days_is_due() {
        let reminders: Reminders = "30,7,1".parse().unwrap();
        let micro = TimeDelta::microseconds(1);
        for (left, due) in [
            (TimeDelta::days(30) + micro, None),
            (TimeDelta::days(30), Some(30)),
            (TimeDelta::days(7) + micro, Some(30)),
            (TimeDelta::days(7), Some(7)),
            (TimeDelta::days(1), Some(1)),
            (micro, Some(1)),
        ] {
            assert_eq!(reminders.due(left), due, "{left}");
        }
    }
}

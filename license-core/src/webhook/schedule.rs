//! Retry schedules of deliveries.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

/// Default schedule: seconds before each try.
pub const SCHEDULE: [u32; 10] =
    [0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600];
/// Longest pause that a receiver can request.
pub const MAX_RETRY_AFTER: TimeDelta = TimeDelta::hours(24);
/// Maximum number of tries.
const MAX_TRIES: usize = 50;
/// Longest pause between tries.
const MAX_PAUSE: Duration = Duration::from_hours(7 * 24);

/// The pauses before each try of a delivery; the first is zero. The default is [`SCHEDULE`].
///
/// ```
/// use license_core::webhook::Schedule;
/// let schedule: Schedule = "0s,5s,10m,2h".parse()?;
/// assert_eq!(schedule.tries(), 4);
/// # Ok::<(), license_core::webhook::ScheduleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Arc<[Duration]>);

impl Default for Schedule {
    fn default() -> Self {
        Self(SCHEDULE.map(|seconds| Duration::from_secs(seconds.into())).into())
    }
}

impl Schedule {
    /// Returns the number of tries.
    #[must_use]
    pub fn tries(&self) -> usize {
        self.0.len()
    }

    /// Returns the longest time between two tries, with jitter and with pauses that receivers request.
    #[must_use]
    pub fn longest_pause(&self) -> TimeDelta {
        let longest = self.0.iter().max().and_then(|pause| TimeDelta::from_std(*pause).ok());
        let longest = longest.unwrap_or_default().max(MAX_RETRY_AFTER);
        longest + longest / 10
    }

    /// Returns the pause after this many tries, or `None` if there are no more.
    pub(super) fn pause(&self, tries: u32) -> Option<Duration> {
        self.0.get(tries as usize).copied()
    }
}

/// Parses pauses with units `ms`, `s`, `m` or `h`, of which the first is `0s`.
impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let pauses = text.split(',').map(|part| pause(part.trim())).collect::<Option<Arc<[_]>>>();
        pauses
            .filter(|pauses| pauses.len() <= MAX_TRIES && pauses.first().is_some_and(Duration::is_zero))
            .map(Self)
            .ok_or(ScheduleError)
    }
}

fn pause(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let pause = Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(millis)?);
    (pause <= MAX_PAUSE).then_some(pause)
}

/// The text is not a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a schedule must be up to {} pauses of at most a week, such as 0s,5s,10m,2h, of which the first is 0s",
    MAX_TRIES
)]
pub struct ScheduleError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_parse_from_text() {
        let standard = "0s,5s,5m,30m,2h,5h,10h,14h,20h,24h".parse::<Schedule>();
        assert_eq!(standard, Ok(Schedule::default()));
        let longest = vec!["0s"; MAX_TRIES].join(",");
        for good in ["0s", "0ms, 1ms", "0s,168h", &longest] {
            assert!(good.parse::<Schedule>().is_ok(), "{good}");
        }
        let past = format!("{longest},0s");
        for refused in [
            "",
            "5s",
            "0",
            "0s,",
            "0s,-1s",
            "0s,1d",
            "0s,1.5s",
            "0s,s",
            "0s,169h",
            "0s,99999999999999999999h",
            &past,
        ] {
            assert_eq!(refused.parse::<Schedule>(), Err(ScheduleError), "{refused}");
        }
    }
}

//! When a delivery is tried.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::SCHEDULE;

/// Most tries of one delivery.
const MOST_TRIES: usize = 50;
/// Longest pause between two.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// The tries of a delivery, each so long after the one before: the first at once. [`SCHEDULE`] unless set.
///
/// ```
/// use license_core::delivery::Schedule;
/// let schedule: Schedule = "0s,5s,10m,2h".parse()?;
/// assert_eq!(schedule.tries(), 4);
/// # Ok::<(), license_core::delivery::ScheduleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Arc<[Duration]>);

impl Default for Schedule {
    fn default() -> Self {
        Self(SCHEDULE.map(|seconds| Duration::from_secs(seconds.into())).into())
    }
}

impl Schedule {
    /// How often a delivery is tried.
    #[must_use]
    pub fn tries(&self) -> usize {
        self.0.len()
    }

    /// How long after so many tries the next one is; `None`: there is none.
    pub(super) fn pause(&self, tries: u32) -> Option<Duration> {
        self.0.get(tries as usize).copied()
    }
}

/// Pauses with their units, `ms`, `s`, `m` or `h`, the first of them `0s`.
impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let pauses = text.split(',').map(|part| pause(part.trim())).collect::<Option<Arc<[_]>>>();
        pauses
            .filter(|pauses| pauses.len() <= MOST_TRIES && pauses.first().is_some_and(Duration::is_zero))
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
    (pause <= LONGEST).then_some(pause)
}

/// A text that is no schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a schedule is up to {} pauses of at most a week such as 0s,5s,10m,2h, the first of them 0s",
    MOST_TRIES
)]
pub struct ScheduleError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let standard = "0s,5s,5m,30m,2h,5h,10h,14h,20h,24h".parse::<Schedule>();
        assert_eq!(standard, Ok(Schedule::default()));
        let most = vec!["0s"; MOST_TRIES].join(",");
        for good in ["0s", "0ms, 1ms", "0s,168h", &most] {
            assert!(good.parse::<Schedule>().is_ok(), "{good}");
        }
        let past = format!("{most},0s");
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

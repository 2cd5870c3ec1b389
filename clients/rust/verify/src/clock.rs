//! The clock of a machine whose owner can set it.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::time::{MAX_BEHIND, TOLERANCE};

/// What is known about the time, beside the clock of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clock {
    /// The latest time that was read.
    high_water: i64,
    /// The time of the last answer of the server.
    #[serde(default)]
    answer: Option<AnswerTime>,
}

/// Two clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerTime {
    server: i64,
    machine: i64,
}

/// A time that never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The time.
    pub(crate) time: i64,
    /// Seconds by which the clock of the machine is behind the time.
    behind: i64,
}

impl Clock {
    /// Reads the time when the clock of the machine shows `now`.
    pub(crate) fn read(&mut self, now: i64) -> Reading {
        let time = self.corrected(now);
        let behind = self.high_water.saturating_sub(time).max(0);
        self.high_water = self.high_water.max(time);
        Reading { time: self.high_water, behind }
    }

    /// Sets the time to that of the server: an answer to a fresh nonce is certain.
    pub(crate) fn set(&mut self, server: i64, now: i64) {
        *self = Self { high_water: server, answer: Some(AnswerTime { server, machine: now }) };
    }

    /// Corrects a clock by what it showed at the last answer of the server.
    ///
    /// A clock can be set right after that answer. Then there is nothing to correct: if it was behind, as soon as it is
    /// not before the last reading; if it was ahead, as soon as the corrected time would be rolled back and the
    /// clock itself is closer to the last reading.
    fn corrected(&mut self, now: i64) -> i64 {
        let Some(AnswerTime { server, machine }) = self.answer else { return now };
        let corrected = now.saturating_add(server.saturating_sub(machine));
        let is_set_right = if machine < server {
            now >= self.high_water.saturating_sub(TOLERANCE)
        } else {
            corrected < self.high_water.saturating_sub(MAX_BEHIND)
                && now.abs_diff(self.high_water) < corrected.abs_diff(self.high_water)
        };
        if is_set_right {
            self.answer = None;
            return now;
        }
        corrected
    }
}

impl Reading {
    /// Returns whether the clock went back by more than small corrections do.
    pub(crate) fn is_behind(self) -> bool {
        self.behind > TOLERANCE
    }

    /// Checks that the clock went back by at most a day.
    pub(crate) fn check(self) -> Result<(), Error> {
        if self.behind > MAX_BEHIND {
            return Err(Error::ClockRolledBack { behind: self.behind });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use crate::error::Error;

    const DAY: i64 = 86_400;

    #[test]
    fn clock_can_go_back_by_a_day_and_no_second_more() {
        let mut clock = Clock::default();
        clock.read(10 * DAY);
        let reading = clock.read(9 * DAY);
        assert_eq!((reading.time, reading.check(), reading.is_behind()), (10 * DAY, Ok(()), true));
        assert_eq!(clock.read(9 * DAY - 1).check(), Err(Error::ClockRolledBack { behind: DAY + 1 }));
        assert!(!clock.read(10 * DAY - 300).is_behind());
        assert!(clock.read(10 * DAY - 301).is_behind());
    }

    #[test]
    fn answer_cures_a_clock_that_was_ahead() {
        let mut clock = Clock::default();
        clock.read(1_000 * DAY);
        assert!(clock.read(10 * DAY).check().is_err());
        clock.set(10 * DAY, 10 * DAY);
        assert_eq!((clock.read(10 * DAY).time, clock.read(10 * DAY).check()), (10 * DAY, Ok(())));
    }

    #[test]
    fn wrong_clock_is_corrected_until_it_is_set_right() {
        for wrong in [-365 * DAY, -2 * DAY, -3_600, 2 * DAY, 365 * DAY] {
            let mut clock = Clock::default();
            clock.set(1_000 * DAY, 1_000 * DAY + wrong);
            let mut time = 1_000 * DAY;
            for _ in 0..50 {
                time += 1_800;
                let reading = clock.read(time + wrong);
                assert_eq!((reading.time, reading.check()), (time, Ok(())), "{wrong}");
                // A step of the clock by some seconds or an hour does not change the time.
                for back in [1, 3_600] {
                    let reading = clock.read(time + wrong - back);
                    assert_eq!((reading.time, reading.check()), (time, Ok(())), "{wrong}");
                }
            }
            for time in [time + 1, time + 100 * DAY] {
                let reading = clock.read(time);
                assert_eq!((reading.time, reading.check()), (time, Ok(())), "{wrong}");
            }
        }
    }

    #[test]
    fn clock_that_was_an_hour_ahead_can_be_set_right() {
        let mut clock = Clock::default();
        clock.set(1_000 * DAY, 1_000 * DAY + 3_600);
        let reading = clock.read(1_000 * DAY);
        assert_eq!((reading.time, reading.check()), (1_000 * DAY, Ok(())));
    }

    #[test]
    fn correction_does_not_help_to_set_the_clock_back() {
        for wrong in [-30 * DAY, 0, 30 * DAY] {
            let mut clock = Clock::default();
            clock.set(1_000 * DAY, 1_000 * DAY + wrong);
            clock.read(1_020 * DAY + wrong);
            for back in [2 * DAY, 10 * DAY, 30 * DAY, 40 * DAY] {
                let reading = clock.read(1_020 * DAY + wrong - back);
                assert!(reading.time >= 1_020 * DAY, "{wrong} {back}");
                // Unless the clock is now right, this is noticed.
                assert_eq!(reading.check().is_err(), back != wrong, "{wrong} {back}");
            }
        }
    }

    #[test]
    fn extreme_times_do_not_panic() {
        let times = [i64::MIN, -1, 0, 1, i64::MAX];
        for server in times {
            for machine in times {
                for now in times {
                    let mut clock = Clock::default();
                    clock.set(server, machine);
                    let _ = clock.read(now).check();
                }
            }
        }
    }
}

//! Tells whether the wall clock is plausible.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How far the wall clock may be past the time that is expected. A machine that was off for longer needs
/// [`CONSISTENT_FOR`] before its jobs run again.
pub const MAX_GAP: TimeDelta = TimeDelta::hours(48);
/// How far the wall clock may be before the time that is expected: clocks of nodes differ a little.
pub const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(1);
/// How long an implausible clock must run without a jump until it is trusted.
pub const CONSISTENT_FOR: Duration = Duration::from_hours(24);
/// Minimum time between two moves of the heartbeat.
pub const HEARTBEAT_INTERVAL: TimeDelta = TimeDelta::hours(1);

/// A reading of the wall clock and of a clock that is never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// The wall clock.
    pub wall: DateTime<Utc>,
    /// The time since a fixed moment, as [`Clock::monotonic`](super::Clock::monotonic).
    pub monotonic: Duration,
}

impl ClockReading {
    /// Returns whether the wall clock has moved as far as the monotonic clock, within the limits.
    fn follows(self, earlier: Self) -> bool {
        let passed = self.monotonic.saturating_sub(earlier.monotonic);
        let expected = TimeDelta::from_std(passed).ok().and_then(|it| earlier.wall.checked_add_signed(it));
        expected.is_some_and(|expected| is_near(self.wall, expected))
    }
}

/// Returns whether `wall` is from [`CLOCK_TOLERANCE`] before to [`MAX_GAP`] after `expected`.
fn is_near(wall: DateTime<Utc>, expected: DateTime<Utc>) -> bool {
    let past = wall.signed_duration_since(expected);
    -CLOCK_TOLERANCE <= past && past <= MAX_GAP
}

/// A clock that is not trusted yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    last: ClockReading,
    consistent_for: Duration,
}

/// Decides whether the wall clock is plausible, from readings and from the heartbeat that the database keeps.
/// Jobs that delete data, or write what time causes, run only while it is.
///
/// The clock is plausible if it is near the heartbeat, and if it moves as a monotonic clock does. If it is
/// not, it becomes plausible when
/// - the jump is undone,
/// - the heartbeat moves near it: an operator accepted the clock, or another node confirms it,
/// - it has run for [`CONSISTENT_FOR`] without a jump, and no other node has moved the heartbeat.
///
/// A database without a heartbeat is new, so every clock is plausible.
///
/// ```
/// use std::time::Duration;
/// use license_core::clock::{ClockGuard, ClockReading};
/// let mut guard = ClockGuard::default();
/// let heartbeat = "2026-01-01T00:00:00Z".parse().unwrap();
/// let reading = |wall: &str, seconds| ClockReading {
///     wall: wall.parse().unwrap(),
///     monotonic: Duration::from_secs(seconds),
/// };
/// guard.look(reading("2030-02-10T00:00:00Z", 0), Some(heartbeat));
/// assert!(!guard.is_plausible());
/// guard.look(reading("2026-01-01T00:05:00Z", 60), Some(heartbeat));
/// assert!(guard.is_plausible());
/// ```
#[derive(Clone, Debug, Default)]
pub struct ClockGuard {
    has_looked: bool,
    /// The heartbeat at the last look; `None` if the database is new.
    heartbeat: Option<DateTime<Utc>>,
    /// The last plausible reading, or the heartbeat and the moment at which it was read. `None` if the
    /// database is new.
    trusted: Option<ClockReading>,
    waiting: Option<Waiting>,
    plausible: bool,
}

impl ClockGuard {
    /// Returns whether the last reading was plausible. `false` before the first [`look`](Self::look).
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        self.plausible
    }

    /// Returns whether there was a [`look`](Self::look) at the heartbeat.
    #[must_use]
    pub fn has_looked(&self) -> bool {
        self.has_looked
    }

    /// Takes a reading and the heartbeat of the database. Returns the time to which the heartbeat must be
    /// moved, if it must.
    #[must_use]
    pub fn look(&mut self, reading: ClockReading, heartbeat: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        if !self.has_looked || self.heartbeat != heartbeat {
            // The heartbeat of another node or of an operator counts more than what this node saw.
            let trusted = heartbeat.map(|at| ClockReading { wall: at, ..reading });
            *self = Self { has_looked: true, heartbeat, trusted, ..Self::default() };
        }
        let is_due =
            heartbeat.is_none_or(|at| !is_near(reading.wall, at) || reading.wall - at >= HEARTBEAT_INTERVAL);
        (self.observe(reading) && is_due).then_some(reading.wall)
    }

    /// Records that this node has moved the heartbeat.
    pub fn heartbeat_moved(&mut self, to: DateTime<Utc>) {
        self.heartbeat = Some(to);
    }

    /// Takes a reading between two looks at the heartbeat. Returns whether it is plausible.
    pub fn observe(&mut self, reading: ClockReading) -> bool {
        if !self.has_looked {
            return false;
        }
        self.plausible = self.trusted.is_none_or(|trusted| reading.follows(trusted));
        if !self.plausible {
            let consistent_for = match self.waiting {
                Some(Waiting { last, consistent_for }) if reading.follows(last) => {
                    consistent_for + reading.monotonic.saturating_sub(last.monotonic)
                }
                _ => Duration::ZERO,
            };
            self.waiting = Some(Waiting { last: reading, consistent_for });
            self.plausible = consistent_for >= CONSISTENT_FOR;
        }
        if self.plausible {
            (self.trusted, self.waiting) = (Some(reading), None);
        }
        self.plausible
    }
}

#[cfg(test)]
mod tests;

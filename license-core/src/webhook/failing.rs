//! How long an endpoint has failed.

use chrono::{DateTime, TimeDelta, Utc};

/// Time between two failed attempts that counts at most towards [`DISABLE_AFTER`](super::DISABLE_AFTER).
pub const MAX_FAILING_GAP: TimeDelta = TimeDelta::hours(24);

/// Failures of an endpoint since its latest success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Time of the first failed attempt.
    pub since: DateTime<Utc>,
    /// Time of the latest failed attempt.
    pub last_at: DateTime<Utc>,
    /// Sum of the times between failed attempts, of which each counts at most [`MAX_FAILING_GAP`]. A jump
    /// of the clock adds no more than that.
    pub lasted: TimeDelta,
}

impl Failing {
    pub(super) fn new(at: DateTime<Utc>) -> Self {
        Self { since: at, last_at: at, lasted: TimeDelta::zero() }
    }

    /// Adds a failed attempt.
    pub(super) fn failed_again(self, at: DateTime<Utc>) -> Self {
        let gap = (at - self.last_at).clamp(TimeDelta::zero(), MAX_FAILING_GAP);
        Self { last_at: at, lasted: self.lasted + gap, ..self }
    }
}

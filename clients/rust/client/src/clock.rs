//! The clocks of the machine.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The source of the time in Unix seconds.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    pub(crate) fn new(now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the edge of a client: here, and only here, it reads the time"
    )]
    pub(crate) fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
    }

    pub(crate) fn now(&self) -> i64 {
        (self.0)()
    }

    pub(crate) fn stopwatch(&self) -> Stopwatch {
        Stopwatch { clock: self.clone(), wall: self.now(), steady: instant() }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}

/// Measures how long an answer took.
pub(crate) struct Stopwatch {
    clock: Clock,
    wall: i64,
    steady: Instant,
}

impl Stopwatch {
    /// Returns whether more time than `limit` has passed by either clock. The steady clock stands still while a
    /// machine is suspended, so an answer could look fresh hours later.
    pub(crate) fn is_past(&self, limit: Duration) -> bool {
        let wall = u64::try_from(self.clock.now().saturating_sub(self.wall)).unwrap_or(0);
        // Whole seconds differ by one more than the time that has passed.
        instant().duration_since(self.steady) > limit
            || Duration::from_secs(wall) > limit + Duration::from_secs(1)
    }
}

#[expect(clippy::disallowed_methods, reason = "the deadline of an answer is measured")]
fn instant() -> Instant {
    Instant::now()
}

//! Time and randomness, which callers pass as arguments.

mod guard;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::{TryCryptoRng, TryRng};

pub use guard::{CLOCK_TOLERANCE, CONSISTENT_FOR, ClockGuard, ClockReading, HEARTBEAT_INTERVAL, MAX_GAP};

/// A source of time. Services read it once per use case.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the time in whole microseconds, so that a database stores it exactly.
    fn now(&self) -> DateTime<Utc>;

    /// Returns the time since a fixed moment, by a clock that is never set. Only differences of two values
    /// have a meaning.
    fn monotonic(&self) -> Duration;

    /// Reads both clocks.
    fn reading(&self) -> ClockReading {
        ClockReading { wall: self.now(), monotonic: self.monotonic() }
    }
}

/// Truncates a time to whole microseconds, the resolution of all stores. A leap second becomes the following
/// second, as in databases.
///
/// ```
/// let time = "2026-01-01T00:00:00.123456789Z".parse().unwrap();
/// assert_eq!(license_core::clock::whole_micros(time).to_rfc3339(), "2026-01-01T00:00:00.123456+00:00");
/// let leap = "2016-12-31T23:59:60Z".parse().unwrap();
/// assert_eq!(license_core::clock::whole_micros(leap).to_rfc3339(), "2017-01-01T00:00:00+00:00");
/// ```
#[must_use]
pub fn whole_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}

/// A clock that moves only when told to, for tests and simulations. [`advance`](Self::advance) lets time
/// pass; [`set`](Self::set) sets the clock, as an operator does.
///
/// ```
/// use chrono::{TimeDelta, Utc};
/// use license_core::clock::{Clock, ManualClock};
/// let clock = ManualClock::at("2026-01-01T00:00:00Z".parse()?);
/// clock.advance(TimeDelta::days(1));
/// assert_eq!(clock.now().to_rfc3339(), "2026-01-02T00:00:00+00:00");
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Debug)]
pub struct ManualClock {
    micros: AtomicI64,
    /// Microseconds that have passed.
    passed: AtomicU64,
}

impl ManualClock {
    /// Creates a clock that shows `time`.
    #[must_use]
    pub fn at(time: DateTime<Utc>) -> Self {
        Self { micros: AtomicI64::new(time.timestamp_micros()), passed: AtomicU64::new(0) }
    }

    /// Sets the wall clock. No time passes.
    pub fn set(&self, time: DateTime<Utc>) {
        self.micros.store(time.timestamp_micros(), Ordering::SeqCst);
    }

    /// Moves the wall clock by `delta`. If `delta` is positive, that time passes; if it is negative, the wall
    /// clock steps back.
    ///
    /// # Panics
    /// If `delta` is longer than 292,000 years.
    pub fn advance(&self, delta: TimeDelta) {
        let micros = delta.num_microseconds().expect("a delta in reach");
        self.micros.fetch_add(micros, Ordering::SeqCst);
        self.passed.fetch_add(micros.try_into().unwrap_or(0), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.micros.load(Ordering::SeqCst)).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.passed.load(Ordering::SeqCst))
    }
}

/// Shares a clock.
impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }
}

/// The random number generator failed; nothing was created.
#[derive(Debug, thiserror::Error)]
#[error("the random number generator failed: {0}")]
pub struct RngError(String);

/// A generator whose error type is [`RngError`].
pub(crate) struct ErasedRng<R>(pub(crate) R);

impl<R: TryRng> TryRng for ErasedRng<R> {
    type Error = RngError;

    fn try_next_u32(&mut self) -> Result<u32, RngError> {
        self.0.try_next_u32().map_err(|error| RngError(error.to_string()))
    }

    fn try_next_u64(&mut self) -> Result<u64, RngError> {
        self.0.try_next_u64().map_err(|error| RngError(error.to_string()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RngError> {
        self.0.try_fill_bytes(bytes).map_err(|error| RngError(error.to_string()))
    }
}

impl<R: TryCryptoRng> TryCryptoRng for ErasedRng<R> {}

/// The system clock. Requires the feature `system`.
#[cfg(feature = "system")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[cfg(feature = "system")]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
        whole_micros(Utc::now())
    }

    fn monotonic(&self) -> Duration {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed()
    }
}

/// The operating system's cryptographic generator. Requires the feature `system`.
#[cfg(feature = "system")]
pub use rand::rngs::SysRng as SystemRng;

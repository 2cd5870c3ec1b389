//! A rate limiter over a bounded number of callers, based on `governor`.

use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter as Governor};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::rate::Rate;
use crate::client_ip::ClientAddress;
use crate::problem::{Code, Problem, RenderProblem};

/// Header fields of draft-ietf-httpapi-ratelimit-headers-10.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Clock shared by all limiters. Each request reads the time once and advances it.
#[derive(Clone, Debug)]
pub(super) struct SharedClock {
    started: Instant,
    nanos: Arc<AtomicU64>,
}

impl SharedClock {
    pub(super) fn new(started: Instant) -> Self {
        Self { started, nanos: Arc::new(AtomicU64::new(0)) }
    }

    /// Moves forward only: requests may arrive in another order than they read the time.
    pub(super) fn advance(&self, now: Instant) {
        let nanos = now.saturating_duration_since(self.started).as_nanos();
        self.nanos.fetch_max(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Clock for SharedClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.nanos.load(Ordering::Relaxed))
    }
}

/// The caller whose calls are counted. Keys and tokens are hashed with a seed of this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RateLimitSubject(u64);

impl RateLimitSubject {
    pub(super) fn of_client(client: ClientAddress) -> Self {
        Self(match client.network() {
            IpAddr::V4(four) => four.to_bits().into(),
            // The network. It cannot equal an IPv4 address, since assigned networks are larger numbers.
            IpAddr::V6(six) => u64::try_from(six.to_bits() >> 64).unwrap_or_default(),
        })
    }
}

/// A lookup of a subject. `count` is false if the call must not be counted.
#[derive(Clone, Hash, PartialEq, Eq)]
struct QuotaLookup {
    subject: RateLimitSubject,
    count: bool,
}

/// The time of the next allowed call by subject. A full cache evicts the subjects that call least. So a
/// flood of addresses that call once evicts itself, and frequent callers stay limited.
struct Subjects(Cache<RateLimitSubject, Arc<InMemoryState>>);

impl StateStore for Subjects {
    type Key = QuotaLookup;

    fn measure_and_replace<T, F, E>(&self, lookup: &QuotaLookup, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        if lookup.count {
            let made = self.0.get_or_insert_with(&lookup.subject, || Ok::<_, Infallible>(Arc::default()));
            let state = made.unwrap_or_else(|never| match never {});
            return state.measure_and_replace(&NotKeyed::NonKey, measure);
        }
        let Some(state) = self.0.get(&lookup.subject) else {
            return measure(None).map(|(outcome, _)| outcome);
        };
        // An error leaves the state unchanged.
        let looked = state.measure_and_replace(&NotKeyed::NonKey, |earlier| {
            Err::<(Infallible, Nanos), _>(measure(earlier).map(|(outcome, _)| outcome))
        });
        match looked {
            Ok(never) => match never {},
            Err(outcome) => outcome,
        }
    }
}

/// State of a subject, as the `RateLimit` headers report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RateLimitState {
    name: &'static str,
    /// Calls per window.
    quota: u32,
    /// Seconds after which the quota is full again.
    window: u64,
    remaining: u32,
    /// Seconds until the next call is allowed if none remains, otherwise until the quota is full.
    seconds: u64,
}

impl RateLimitState {
    pub(super) fn write_headers(&self, response: &mut Response) {
        let Self { name, quota, window, remaining, seconds } = self;
        // Names are constants and the rest are numbers, so both are valid header values.
        let policy = HeaderValue::try_from(format!("\"{name}\";q={quota};w={window}"));
        let state = HeaderValue::try_from(format!("\"{name}\";r={remaining};t={seconds}"));
        if let (Ok(policy), Ok(state)) = (policy, state) {
            response.headers_mut().insert(RATE_LIMIT_POLICY, policy);
            response.headers_mut().insert(RATE_LIMIT, state);
        }
    }
}

/// A call over the limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimited(RateLimitState);

impl RateLimited {
    pub(crate) fn response(self, render: RenderProblem) -> Response {
        let Self(state) = self;
        let detail = format!("Too many calls. Try again in {} s.", state.seconds);
        let mut response = render(Problem::new(Code::RateLimited, detail));
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(state.seconds));
        state.write_headers(&mut response);
        response
    }
}

pub(super) struct RateLimiter {
    pub(super) name: &'static str,
    rate: Rate,
    calls: Governor<QuotaLookup, Subjects, SharedClock, StateInformationMiddleware>,
    clock: SharedClock,
    seed: RandomState,
    pub(super) refused: AtomicU64,
    max_tracked: usize,
}

impl RateLimiter {
    pub(super) fn new(name: &'static str, rate: Rate, max_tracked: usize, clock: &SharedClock) -> Self {
        let quota = Quota::with_period(rate.interval()).unwrap_or(Quota::per_second(rate.burst()));
        let quota = quota.allow_burst(rate.burst());
        let calls: Governor<_, _, _, StateInformationMiddleware> =
            Governor::new(quota, Subjects(Cache::new(max_tracked)), clock.clone());
        Self {
            name,
            rate,
            calls,
            clock: clock.clone(),
            seed: RandomState::new(),
            refused: AtomicU64::new(0),
            max_tracked,
        }
    }

    /// Counts one call.
    pub(super) fn check(&self, subject: RateLimitSubject) -> Result<RateLimitState, RateLimited> {
        self.look_up(&QuotaLookup { subject, count: true })
    }

    /// Returns an error if a call would be refused. Nothing is counted.
    pub(super) fn peek(&self, subject: RateLimitSubject) -> Result<(), RateLimited> {
        self.look_up(&QuotaLookup { subject, count: false }).map(drop)
    }

    fn look_up(&self, lookup: &QuotaLookup) -> Result<RateLimitState, RateLimited> {
        match self.calls.check_key(lookup) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = self.rate.burst().get().saturating_sub(remaining);
                Ok(self.state(remaining, self.rate.interval() * used))
            }
            Err(until) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                let wait = until.wait_time_from(self.clock.now());
                // Never 0 seconds: the caller would retry too early.
                Err(RateLimited(self.state(0, wait.max(Duration::from_nanos(1)))))
            }
        }
    }

    fn state(&self, remaining: u32, wait: Duration) -> RateLimitState {
        let quota = self.rate.burst().get();
        let window = whole_seconds(self.rate.interval() * quota);
        RateLimitState { name: self.name, quota, window, remaining, seconds: whole_seconds(wait) }
    }

    /// Hashes a key as its parser reads it: case, separators and look-alike letters do not matter.
    pub(super) fn subject_of_key(&self, key: &str) -> RateLimitSubject {
        let mut hasher = self.seed.build_hasher();
        for byte in key.bytes().filter(u8::is_ascii_alphanumeric) {
            hasher.write_u8(match byte.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                symbol => symbol,
            });
        }
        RateLimitSubject(hasher.finish())
    }

    pub(super) fn subject_of_token(&self, authorization: &[u8]) -> RateLimitSubject {
        RateLimitSubject(self.seed.hash_one(authorization))
    }
}

/// Hides the subjects.
impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rate, max_tracked, .. } = self;
        write!(f, "RateLimiter {{ name: {name}, rate: {rate}, max_tracked: {max_tracked}, .. }}")
    }
}

/// Rounds up, so that a caller that waits this long is not too early.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate: &str, max_tracked: usize) -> (RateLimiter, impl FnMut(u64)) {
        let mut now = Instant::now();
        let clock = SharedClock::new(now);
        let limiter = RateLimiter::new("test", rate.parse().unwrap(), max_tracked, &clock);
        let advance = move |millis| {
            now += Duration::from_millis(millis);
            clock.advance(now);
        };
        (limiter, advance)
    }

    fn allowed(limiter: &RateLimiter, subject: u64, calls: usize) -> usize {
        (0..calls).filter(|_| limiter.check(RateLimitSubject(subject)).is_ok()).count()
    }

    #[test]
    fn calls_after_a_burst_follow_the_rate() {
        let (limiter, mut advance) = limiter("2/s:5", 100);
        assert_eq!(allowed(&limiter, 1, 20), 5);
        assert_eq!(allowed(&limiter, 2, 20), 5, "each subject has its own burst");
        advance(499);
        assert_eq!(allowed(&limiter, 1, 20), 0);
        advance(1);
        assert_eq!(allowed(&limiter, 1, 20), 1);
        advance(60_000);
        assert_eq!(allowed(&limiter, 1, 20), 5, "unused calls accumulate up to the burst");
    }

    #[test]
    fn peek_counts_nothing() {
        let (limiter, mut advance) = limiter("1/s:2", 100);
        for _ in 0..10 {
            limiter.peek(RateLimitSubject(1)).unwrap();
        }
        assert_eq!(allowed(&limiter, 1, 3), 2);
        for _ in 0..10 {
            limiter.peek(RateLimitSubject(1)).unwrap_err();
        }
        advance(1000);
        limiter.peek(RateLimitSubject(1)).unwrap();
        assert_eq!(allowed(&limiter, 1, 3), 1);
    }

    #[test]
    fn state_has_whole_seconds_rounded_up() {
        let (limiter, mut advance) = limiter("1/m:2", 100);
        let state =
            |remaining, seconds| RateLimitState { name: "test", quota: 2, window: 120, remaining, seconds };
        assert_eq!(limiter.check(RateLimitSubject(1)).unwrap(), state(1, 60));
        assert_eq!(limiter.check(RateLimitSubject(1)).unwrap(), state(0, 120));
        advance(500);
        assert_eq!(limiter.check(RateLimitSubject(1)).unwrap_err().0, state(0, 60));
        advance(59_400);
        assert_eq!(limiter.check(RateLimitSubject(1)).unwrap_err().0, state(0, 1));
        advance(100);
        assert_eq!(limiter.check(RateLimitSubject(1)).unwrap(), state(0, 120));
    }

    /// A million addresses that call once neither fill the memory nor evict a frequent caller.
    #[test]
    fn flood_of_addresses_does_not_evict_a_frequent_caller() {
        let (limiter, _) = limiter("1/h:10", 1000);
        assert_eq!(allowed(&limiter, 7, 20), 10);
        for address in 1000..1_001_000 {
            assert_eq!(allowed(&limiter, address, 1), 1);
            if address % 100 == 0 {
                assert_eq!(allowed(&limiter, 7, 1), 0, "evicted after {address}");
            }
        }
        let Subjects(subjects) = limiter.calls.into_state_store();
        assert!(subjects.len() <= 1000, "{}", subjects.len());
    }

    #[test]
    fn spellings_of_a_key_are_one_subject() {
        let (limiter, _) = limiter("1/s", 10);
        let of = |text: &str| limiter.subject_of_key(text).0;
        let key = of("TO-0123-ABCD-1111-4567");
        for spelling in ["to01 23abcd11114567", " TO–O123-abcd-iLIl-4567 "] {
            assert_eq!(of(spelling), key, "{spelling:?}");
        }
        assert_ne!(of("TO-0123-ABCD-1111-4568"), key);
    }

    #[test]
    fn debug_shows_no_subject() {
        let (limiter, _) = limiter("1/s", 10);
        limiter.check(RateLimitSubject(4_711)).unwrap();
        let shown = format!("{limiter:?}");
        assert!(shown.contains("max_tracked: 10") && !shown.contains("4711"), "{shown}");
    }
}

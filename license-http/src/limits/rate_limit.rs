//! A rate limiter over a bounded number of callers.

use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderName, HeaderValue};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::rate::Rate;
use crate::client_ip::ClientAddress;
use crate::problem::{Code, Problem};

/// Header fields of draft-ietf-httpapi-ratelimit-headers-10.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The caller whose calls are counted. Keys and tokens are hashed with a seed of this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RateLimitSubject(u64);

impl RateLimitSubject {
    pub(super) fn of_client(client: ClientAddress) -> Self {
        Self(match client.network() {
            IpAddr::V4(four) => four.to_bits().into(),
            // The /64 network. It cannot equal an IPv4 address, because assigned networks are larger numbers.
            IpAddr::V6(six) => u64::try_from(six.to_bits() >> 64).unwrap_or_default(),
        })
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
    pub(super) fn headers(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let Self { name, quota, window, remaining, seconds } = self;
        let policy = (RATE_LIMIT_POLICY, format!("\"{name}\";q={quota};w={window}"));
        let state = (RATE_LIMIT, format!("\"{name}\";r={remaining};t={seconds}"));
        // Names are constants and the rest are numbers, so both are valid header values.
        [policy, state].into_iter().filter_map(|(name, text)| Some((name, text.try_into().ok()?)))
    }
}

/// A call over the limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimited(RateLimitState);

impl From<RateLimited> for Problem {
    fn from(RateLimited(state): RateLimited) -> Self {
        let detail = format!("Too many calls. Try again in {} s.", state.seconds);
        Self::new(Code::RateLimited, detail)
            .with_headers([(RETRY_AFTER, state.seconds.into())])
            .with_headers(state.headers())
    }
}

/// Counts calls by the generic cell rate algorithm: a call delays the time when the quota is full again.
pub(super) struct RateLimiter {
    pub(super) name: &'static str,
    rate: Rate,
    started: Instant,
    /// Nanoseconds since the start. A flood of subjects that call once evicts itself, not frequent callers.
    full_at: Cache<RateLimitSubject, Arc<AtomicU64>>,
    seed: RandomState,
    pub(super) refused: AtomicU64,
    max_tracked: usize,
}

impl RateLimiter {
    pub(super) fn new(name: &'static str, rate: Rate, max_tracked: usize) -> Self {
        let (started, full_at) = (Instant::now(), Cache::new(max_tracked));
        let (seed, refused) = (RandomState::new(), AtomicU64::new(0));
        Self { name, rate, started, full_at, seed, refused, max_tracked }
    }

    /// Counts one call. An error is counted as a refusal.
    pub(super) fn check(&self, subject: RateLimitSubject) -> Result<RateLimitState, RateLimited> {
        self.refusing(self.count(subject))
    }

    /// Counts one call, which the caller may answer although there were too many.
    pub(super) fn count(&self, subject: RateLimitSubject) -> Result<RateLimitState, RateLimited> {
        let made = self.full_at.get_or_insert_with(&subject, || Ok::<_, Infallible>(Arc::default()));
        let full_at = made.unwrap_or_else(|never| match never {});
        let now = nanos(self.started.elapsed());
        let (Ok(before) | Err(before)) =
            full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| {
                self.after_call(before, now).ok().map(|wait| now + wait)
            });
        self.verdict(before, now)
    }

    /// Returns an error, which is counted as a refusal, if a call would be refused. Does not count as a call.
    pub(super) fn peek(&self, subject: RateLimitSubject) -> Result<(), RateLimited> {
        let full_at = self.full_at.get(&subject).map_or(0, |full_at| full_at.load(Ordering::Relaxed));
        self.refusing(self.verdict(full_at, nanos(self.started.elapsed()))).map(drop)
    }

    fn refusing<T>(&self, result: Result<T, RateLimited>) -> Result<T, RateLimited> {
        result.inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn verdict(&self, full_at: u64, now: u64) -> Result<RateLimitState, RateLimited> {
        let (interval, quota) = (nanos(self.rate.interval()), self.rate.burst.get());
        let state = |remaining, wait| RateLimitState {
            name: self.name,
            quota,
            window: whole_seconds(interval * u64::from(quota)),
            remaining,
            seconds: whole_seconds(wait),
        };
        match self.after_call(full_at, now) {
            Ok(wait) => {
                let used = u32::try_from(wait.div_ceil(interval)).unwrap_or(u32::MAX);
                Ok(state(quota.saturating_sub(used), wait))
            }
            Err(wait) => Err(RateLimited(state(0, wait))),
        }
    }

    /// Returns the time until the quota is full after one more call, or the time to wait for that call.
    fn after_call(&self, full_at: u64, now: u64) -> Result<u64, u64> {
        let interval = nanos(self.rate.interval());
        let wait = full_at.saturating_sub(now) + interval;
        match wait.saturating_sub(interval * u64::from(self.rate.burst.get())) {
            0 => Ok(wait),
            too_early => Err(too_early),
        }
    }

    /// Hashes what identifies the subject: the digest of a key, or a token.
    pub(super) fn subject_of(&self, identity: &[u8]) -> RateLimitSubject {
        RateLimitSubject(self.seed.hash_one(identity))
    }
}

/// Hides the subjects.
impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rate, max_tracked, .. } = self;
        write!(f, "RateLimiter {{ name: {name}, rate: {rate}, max_tracked: {max_tracked}, .. }}")
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Rounds up, so that a caller that waits this long is not too early.
fn whole_seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate: &str, max_tracked: usize) -> RateLimiter {
        RateLimiter::new("test", rate.parse().unwrap(), max_tracked)
    }

    async fn advance(millis: u64) {
        tokio::time::advance(Duration::from_millis(millis)).await;
    }

    fn allowed(limiter: &RateLimiter, subject: u64, calls: usize) -> usize {
        (0..calls).filter(|_| limiter.check(RateLimitSubject(subject)).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_after_a_burst_follow_the_rate() {
        let limiter = limiter("2/s:5", 100);
        assert_eq!(allowed(&limiter, 1, 20), 5);
        assert_eq!(allowed(&limiter, 2, 20), 5, "each subject has its own burst");
        advance(499).await;
        assert_eq!(allowed(&limiter, 1, 20), 0);
        advance(1).await;
        assert_eq!(allowed(&limiter, 1, 20), 1);
        advance(60_000).await;
        assert_eq!(allowed(&limiter, 1, 20), 5, "unused calls accumulate up to the burst");
    }

    #[tokio::test(start_paused = true)]
    async fn peek_counts_nothing() {
        let limiter = limiter("1/s:2", 100);
        for _ in 0..10 {
            limiter.peek(RateLimitSubject(1)).unwrap();
        }
        assert_eq!(allowed(&limiter, 1, 3), 2);
        for _ in 0..10 {
            limiter.peek(RateLimitSubject(1)).unwrap_err();
        }
        advance(1000).await;
        limiter.peek(RateLimitSubject(1)).unwrap();
        assert_eq!(allowed(&limiter, 1, 3), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn state_has_whole_seconds_rounded_up() {
        let limiter = limiter("1/m:2", 100);
        let state =
            |remaining, seconds| RateLimitState { name: "test", quota: 2, window: 120, remaining, seconds };
        assert_eq!(limiter.check(RateLimitSubject(1)).unwrap(), state(1, 60));
        assert_eq!(limiter.check(RateLimitSubject(1)).unwrap(), state(0, 120));
        advance(500).await;
        assert_eq!(limiter.check(RateLimitSubject(1)).unwrap_err().0, state(0, 60));
        advance(59_400).await;
        assert_eq!(limiter.check(RateLimitSubject(1)).unwrap_err().0, state(0, 1));
        advance(100).await;
        assert_eq!(limiter.check(RateLimitSubject(1)).unwrap(), state(0, 120));
    }

    /// A million addresses that call once neither fill the memory nor evict a frequent caller.
    #[test]
    fn flood_of_addresses_does_not_evict_a_frequent_caller() {
        let limiter = limiter("1/h:10", 1000);
        assert_eq!(allowed(&limiter, 7, 20), 10);
        for address in 1000..1_001_000 {
            assert_eq!(allowed(&limiter, address, 1), 1);
            if address % 100 == 0 {
                assert_eq!(allowed(&limiter, 7, 1), 0, "evicted after {address}");
            }
        }
        assert!(limiter.full_at.len() <= 1000, "{}", limiter.full_at.len());
    }

    #[test]
    fn debug_shows_no_subject() {
        let limiter = limiter("1/s", 10);
        limiter.check(RateLimitSubject(4_711)).unwrap();
        let shown = format!("{limiter:?}");
        assert!(shown.contains("max_tracked: 10") && !shown.contains("4711"), "{shown}");
    }
}

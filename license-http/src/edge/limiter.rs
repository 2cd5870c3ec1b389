//! Governor's limiter over callers of one kind, of whom a bounded number is remembered.

use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use quick_cache::sync::Cache;

use super::{Limited, Rate};
use crate::client::ClientAddress;

/// What the clock of all limiters shows: each request reads the time once, and moves it on.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    started: Instant,
    nanos: Arc<AtomicU64>,
}

impl Moment {
    pub(super) fn new(started: Instant) -> Self {
        Self { started, nanos: Arc::new(AtomicU64::new(0)) }
    }

    /// Never back: requests may come here in another order than they read the time.
    pub(super) fn advance(&self, now: Instant) {
        let nanos = now.saturating_duration_since(self.started).as_nanos();
        self.nanos.fetch_max(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Clock for Moment {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.nanos.load(Ordering::Relaxed))
    }
}

/// Whose calls are counted. Of keys and tokens there is only a hash with a seed of this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Subject(u64);

impl Subject {
    pub(super) fn of_client(client: ClientAddress) -> Self {
        Self(match client.network() {
            IpAddr::V4(four) => four.to_bits().into(),
            // The network alone, and no IPv4 address: those are below the networks that are given out.
            IpAddr::V6(six) => u64::try_from(six.to_bits() >> 64).unwrap_or_default(),
        })
    }
}

/// One of which calls are counted, and whether this is a call or only a look.
#[derive(Clone, Hash, PartialEq, Eq)]
struct Ask {
    subject: Subject,
    spend: bool,
}

/// When each subject may call next. Full, it forgets whoever called least: a flood of addresses that call once each drives out
/// itself, and leaves those who call again and again.
struct Subjects(Cache<Subject, Arc<InMemoryState>>);

impl StateStore for Subjects {
    type Key = Ask;

    fn measure_and_replace<T, F, E>(&self, ask: &Ask, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        if ask.spend {
            let made = self.0.get_or_insert_with(&ask.subject, || Ok::<_, Infallible>(Arc::default()));
            let state = made.unwrap_or_else(|never| match never {});
            return state.measure_and_replace(&NotKeyed::NonKey, measure);
        }
        let Some(state) = self.0.get(&ask.subject) else { return measure(None).map(|(outcome, _)| outcome) };
        // What fails is not replaced.
        let looked = state.measure_and_replace(&NotKeyed::NonKey, |earlier| {
            Err::<(Infallible, Nanos), _>(measure(earlier).map(|(outcome, _)| outcome))
        });
        match looked {
            Ok(never) => match never {},
            Err(outcome) => outcome,
        }
    }
}

/// Where a subject stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) name: &'static str,
    /// Calls in a window.
    pub(super) quota: u32,
    /// Seconds in which all of them come back.
    pub(super) window: u64,
    pub(super) remaining: u32,
    /// Seconds until a call is allowed again where none remains; else until all are.
    pub(super) seconds: u64,
}

pub(super) struct Limiter {
    pub(super) name: &'static str,
    rate: Rate,
    calls: RateLimiter<Ask, Subjects, Moment, StateInformationMiddleware>,
    moment: Moment,
    seed: RandomState,
    pub(super) refused: AtomicU64,
    most: usize,
}

impl Limiter {
    pub(super) fn new(name: &'static str, rate: Rate, most: usize, moment: &Moment) -> Self {
        let quota = Quota::with_period(rate.interval()).unwrap_or(Quota::per_second(rate.burst()));
        let quota = quota.allow_burst(rate.burst());
        let calls: RateLimiter<_, _, _, StateInformationMiddleware> =
            RateLimiter::new(quota, Subjects(Cache::new(most)), moment.clone());
        Self {
            name,
            rate,
            calls,
            moment: moment.clone(),
            seed: RandomState::new(),
            refused: AtomicU64::new(0),
            most,
        }
    }

    /// Counts one call.
    pub(super) fn spend(&self, subject: Subject) -> Result<Standing, Limited> {
        self.ask(&Ask { subject, spend: true })
    }

    /// Whether a call would be allowed. It is not counted.
    pub(super) fn look(&self, subject: Subject) -> Result<(), Limited> {
        self.ask(&Ask { subject, spend: false }).map(drop)
    }

    fn ask(&self, ask: &Ask) -> Result<Standing, Limited> {
        match self.calls.check_key(ask) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = self.rate.burst().get().saturating_sub(remaining);
                Ok(self.standing(remaining, self.rate.interval() * used))
            }
            Err(until) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                let wait = until.wait_time_from(self.moment.now());
                // "In 0 seconds" would be too soon.
                Err(Limited(self.standing(0, wait.max(Duration::from_nanos(1)))))
            }
        }
    }

    fn standing(&self, remaining: u32, wait: Duration) -> Standing {
        let quota = self.rate.burst().get();
        let window = whole_seconds(self.rate.interval() * quota);
        Standing { name: self.name, quota, window, remaining, seconds: whole_seconds(wait) }
    }

    /// A key as its parser reads it: in one case, without what is no symbol, letters for digits taken for those. Whoever types
    /// it otherwise asks for the same key.
    pub(super) fn subject_of_key(&self, key: &str) -> Subject {
        let mut hasher = self.seed.build_hasher();
        for byte in key.bytes().filter(u8::is_ascii_alphanumeric) {
            hasher.write_u8(match byte.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                symbol => symbol,
            });
        }
        Subject(hasher.finish())
    }

    pub(super) fn subject_of_token(&self, authorization: &[u8]) -> Subject {
        Subject(self.seed.hash_one(authorization))
    }
}

/// Shows no subject.
impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rate, most, .. } = self;
        f.debug_struct("Limiter")
            .field("name", name)
            .field("rate", rate)
            .field("most", most)
            .finish_non_exhaustive()
    }
}

/// Rounded up, so that whoever waits so long does not come too soon.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate: &str, most: usize) -> (Limiter, impl FnMut(u64)) {
        #[expect(clippy::disallowed_methods, reason = "where the manual clock begins; it goes on by hand")]
        let start = Instant::now();
        let moment = Moment::new(start);
        let limiter = Limiter::new("test", rate.parse().unwrap(), most, &moment);
        let mut now = start;
        let advance = move |millis| {
            now += Duration::from_millis(millis);
            moment.advance(now);
        };
        (limiter, advance)
    }

    fn allowed(limiter: &Limiter, subject: u64, calls: usize) -> usize {
        (0..calls).filter(|_| limiter.spend(Subject(subject)).is_ok()).count()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let (limiter, mut advance) = limiter("2/s:5", 100);
        assert_eq!(allowed(&limiter, 1, 20), 5);
        assert_eq!(allowed(&limiter, 2, 20), 5, "each has its own");
        advance(499);
        assert_eq!(allowed(&limiter, 1, 20), 0);
        advance(1);
        assert_eq!(allowed(&limiter, 1, 20), 1);
        advance(60_000);
        assert_eq!(allowed(&limiter, 1, 20), 5, "no more than a burst is saved up");
    }

    #[test]
    fn a_look_takes_nothing() {
        let (limiter, mut advance) = limiter("1/s:2", 100);
        for _ in 0..10 {
            limiter.look(Subject(1)).unwrap();
        }
        assert_eq!(allowed(&limiter, 1, 3), 2);
        for _ in 0..10 {
            limiter.look(Subject(1)).unwrap_err();
        }
        advance(1000);
        limiter.look(Subject(1)).unwrap();
        assert_eq!(allowed(&limiter, 1, 3), 1);
    }

    #[test]
    fn standings_are_whole_seconds_rounded_up() {
        let (limiter, mut advance) = limiter("1/m:2", 100);
        let standing =
            |remaining, seconds| Standing { name: "test", quota: 2, window: 120, remaining, seconds };
        assert_eq!(limiter.spend(Subject(1)).unwrap(), standing(1, 60));
        assert_eq!(limiter.spend(Subject(1)).unwrap(), standing(0, 120));
        advance(500);
        assert_eq!(limiter.spend(Subject(1)).unwrap_err().0, standing(0, 60));
        advance(59_400);
        assert_eq!(limiter.spend(Subject(1)).unwrap_err().0, standing(0, 1));
        advance(100);
        assert_eq!(limiter.spend(Subject(1)).unwrap(), standing(0, 120));
    }

    /// A million addresses that call once neither fill the memory nor free the one that calls all the time.
    #[test]
    fn a_flood_of_addresses_is_forgotten() {
        let (limiter, _) = limiter("1/h:10", 1000);
        assert_eq!(allowed(&limiter, 7, 20), 10);
        for address in 1000..1_001_000 {
            assert_eq!(allowed(&limiter, address, 1), 1);
            if address % 100 == 0 {
                assert_eq!(allowed(&limiter, 7, 1), 0, "forgotten after {address}");
            }
        }
        let Subjects(subjects) = limiter.calls.into_state_store();
        assert!(subjects.len() <= 1000, "{}", subjects.len());
    }

    #[test]
    fn a_key_is_one_however_it_is_typed() {
        let (limiter, _) = limiter("1/s", 10);
        let of = |text: &str| limiter.subject_of_key(text).0;
        let key = of("TO-0123-ABCD-1111-4567");
        for typed in ["to01 23abcd11114567", " TO–O123-abcd-iLIl-4567 "] {
            assert_eq!(of(typed), key, "{typed:?}");
        }
        assert_ne!(of("TO-0123-ABCD-1111-4568"), key);
    }

    #[test]
    fn debug_shows_no_subject() {
        let (limiter, _) = limiter("1/s", 10);
        limiter.spend(Subject(4_711)).unwrap();
        let shown = format!("{limiter:?}");
        assert!(shown.contains("most: 10") && !shown.contains("4711"), "{shown}");
    }
}

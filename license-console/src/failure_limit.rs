//! Limits failed sign-ins.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// Failures of one network in a window.
const MAX_FAILURES: u32 = 10;
const WINDOW: TimeDelta = TimeDelta::minutes(5);
/// Networks that are tracked at most.
const MAX_TRACKED: usize = 10_000;

/// Counts failed sign-ins by the network of the client. Tokens cannot be guessed; the limit keeps attempts
/// out of the log and the database.
#[derive(Debug, Default)]
pub(crate) struct FailureLimit(Mutex<HashMap<IpAddr, Failures>>);

#[derive(Debug)]
struct Failures {
    count: u32,
    since: DateTime<Utc>,
}

impl Failures {
    fn has_ended(&self, now: DateTime<Utc>) -> bool {
        // A clock that moved back must not make the window longer.
        now < self.since || self.since + WINDOW <= now
    }
}

impl FailureLimit {
    /// Returns the time until the next attempt of a network with too many failures.
    pub(crate) fn wait(&self, network: Option<IpAddr>, now: DateTime<Utc>) -> Option<TimeDelta> {
        let tracked = self.tracked();
        let failures = tracked.get(&network?)?;
        let waits = failures.count >= MAX_FAILURES && !failures.has_ended(now);
        waits.then(|| failures.since + WINDOW - now)
    }

    /// Counts a failure. Without an address, nothing is counted.
    pub(crate) fn count(&self, network: Option<IpAddr>, now: DateTime<Utc>) {
        let Some(network) = network else { return };
        let mut tracked = self.tracked();
        if tracked.len() >= MAX_TRACKED {
            tracked.retain(|_, failures| !failures.has_ended(now));
        }
        if tracked.len() >= MAX_TRACKED {
            tracked.clear();
        }
        let failures = tracked.entry(network).or_insert(Failures { count: 0, since: now });
        if failures.has_ended(now) {
            *failures = Failures { count: 0, since: now };
        }
        failures.count += 1;
    }

    fn tracked(&self) -> MutexGuard<'_, HashMap<IpAddr, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_780_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn tenth_failure_makes_the_network_wait() {
        let limit = FailureLimit::default();
        let (one, other) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        for second in 0..10 {
            assert_eq!(limit.wait(one, at(second)), None, "{second}");
            limit.count(one, at(second));
        }
        assert_eq!(limit.wait(one, at(10)), Some(TimeDelta::seconds(290)));
        assert_eq!(limit.wait(other, at(10)), None);
        assert_eq!(limit.wait(None, at(10)), None);
        assert_eq!(limit.wait(one, at(300)), None);
        assert_eq!(limit.wait(one, at(-1)), None, "the clock moved back");
    }

    #[test]
    fn flood_of_networks_is_bounded() {
        let limit = FailureLimit::default();
        for number in 0..30_000_u32 {
            limit.count(Some(IpAddr::V4(number.into())), at(0));
        }
        assert!(limit.tracked().len() <= MAX_TRACKED);
    }
}

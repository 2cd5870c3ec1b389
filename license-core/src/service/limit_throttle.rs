//! Remembers when limit events were written, so that a flood of denials does not reach the store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::command::LIMIT_EVENT_INTERVAL;
use crate::license::{ActivationKind, LicenseId};

/// Maximum number of entries. At the maximum, expired entries are dropped. If none has expired, all are
/// dropped, and the store is asked again for their licenses.
const MAX_ENTRIES: usize = 10_000;
/// Pause before the store is asked again, if it wrote no event or failed.
const PAUSE: TimeDelta = TimeDelta::seconds(10);

/// Returns whether an entry counts. One that ends too far in the future was written by a wrong clock.
fn throttles(until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now < until && until - now <= LIMIT_EVENT_INTERVAL
}

#[derive(Debug, Default)]
pub(super) struct LimitThrottle(Mutex<HashMap<(LicenseId, ActivationKind), DateTime<Utc>>>);

impl LimitThrottle {
    /// Returns whether to ask the store. Of concurrent callers, only one gets `true`.
    pub(super) fn begin(&self, license: &LicenseId, kind: ActivationKind, now: DateTime<Utc>) -> bool {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (license.clone(), kind);
        if until.get(&key).is_some_and(|until| throttles(*until, now)) {
            return false;
        }
        if until.len() >= MAX_ENTRIES {
            until.retain(|_, until| throttles(*until, now));
        }
        if until.len() >= MAX_ENTRIES {
            until.clear();
        }
        until.insert(key, now + PAUSE);
        true
    }

    /// Records that the event was last written at `at`.
    pub(super) fn record_written(&self, license: &LicenseId, kind: ActivationKind, at: DateTime<Utc>) {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.insert((license.clone(), kind), at + LIMIT_EVENT_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_is_asked_once_an_hour() {
        let notices = LimitThrottle::default();
        let id = LicenseId::parse("lic_a1").unwrap();
        let start: DateTime<Utc> = "2026-06-01T12:00:00Z".parse().unwrap();
        let asks = |seconds| notices.begin(&id, ActivationKind::Domain, start + TimeDelta::seconds(seconds));
        assert!(asks(0));
        assert!(!asks(0) && !asks(9), "of concurrent callers, only one asks");
        assert!(asks(10), "the store did not answer");
        notices.record_written(&id, ActivationKind::Domain, start);
        assert!(!asks(3599));
        assert!(notices.begin(&id, ActivationKind::Device, start), "each kind has its own event");
        assert!(asks(3600));
        notices.record_written(&id, ActivationKind::Domain, start + TimeDelta::days(365));
        assert!(asks(3601), "a clock that was ahead does not silence the event");
    }

    #[test]
    fn entries_are_bounded() {
        let notices = LimitThrottle::default();
        let now = "2026-06-01T12:00:00Z".parse().unwrap();
        for n in 0..MAX_ENTRIES + 5 {
            let id = LicenseId::parse(&format!("lic_{n}")).unwrap();
            assert!(notices.begin(&id, ActivationKind::Domain, now));
        }
        assert!(notices.0.lock().unwrap().len() <= MAX_ENTRIES);
    }
}

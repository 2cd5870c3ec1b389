//! Used idempotency keys, for stores without tables.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::Created;
use crate::command::{Idempotency, IdempotencyDigest, NewLicense, UsedKey};
use crate::event::Event;

/// Idempotency keys that were used, in memory.
#[derive(Clone, Debug, Default)]
pub struct UsedKeys(HashMap<IdempotencyDigest, UsedKey>);

impl UsedKeys {
    /// Returns the request that used the key, if any.
    #[must_use]
    pub fn find(&self, asked: Option<&Idempotency>) -> Option<UsedKey> {
        self.0.get(&asked?.key).cloned()
    }

    /// Returns the result of a create whose key was used before.
    #[must_use]
    pub fn created(&self, new: &[NewLicense]) -> Option<Created> {
        let asked = new.first()?.idempotency.as_ref()?;
        Some(Created::repeated(asked, self.0.get(&asked.key)?))
    }

    /// Adds the key of a create, if it has one.
    pub fn add_created(&mut self, new: &[NewLicense]) {
        if let Some(NewLicense { idempotency, events, .. }) = new.first() {
            self.add(idempotency.as_ref(), events);
        }
    }

    /// Adds the key of a request that caused `events`, if it has one.
    pub fn add(&mut self, asked: Option<&Idempotency>, events: &[Event]) {
        if let (Some(Idempotency { key, request }), Some(event)) = (asked, events.first()) {
            self.0.insert(*key, UsedKey { request: *request, event: event.id(), at: event.at });
        }
    }

    /// Removes keys from before a moment, at most `limit`. Returns the number removed.
    pub fn prune(&mut self, before: DateTime<Utc>, limit: u32) -> u64 {
        let old = self.0.iter().filter(|(_, used)| used.at < before).map(|(key, _)| *key);
        let old: Vec<_> = old.take(limit as usize).collect();
        old.iter().filter(|key| self.0.remove(key).is_some()).count() as u64
    }
}

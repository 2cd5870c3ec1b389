//! Used idempotency keys and trials, for stores without tables.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{Created, LicenseRecord, TrialClaims};
use crate::command::{
    Changes, Command, CommandContext, Idempotency, IdempotencyDigest, NewLicense, UsedKey, View,
};
use crate::event::Event;

/// Idempotency keys and trials that were used, in memory. Each can be used once.
#[derive(Clone, Debug, Default)]
pub struct UsedKeys {
    keys: HashMap<IdempotencyDigest, UsedKey>,
    /// The trials.
    pub trials: TrialClaims,
}

impl UsedKeys {
    /// Returns the request that used the key, if any.
    #[must_use]
    pub fn find(&self, asked: Option<&Idempotency>) -> Option<UsedKey> {
        self.keys.get(&asked?.key).cloned()
    }

    /// Returns the result of a create whose key or trial was used before.
    #[must_use]
    pub fn created(&self, new: &[NewLicense]) -> Option<Created> {
        let asked = new.first()?.idempotency.as_ref();
        match (asked, self.find(asked)) {
            (Some(asked), Some(used)) => Some(Created::repeated(asked, &used)),
            _ => self.trials.has_any_of(new).then_some(Created::TrialUsed),
        }
    }

    /// Returns the view of a record with the used key and the claims of trials that the decision needs.
    #[must_use]
    pub fn view(&self, record: &LicenseRecord, command: &Command, context: &CommandContext) -> View {
        View {
            used_key: self.find(context.idempotency.as_ref()),
            trial_claims: self.trials.find(&command.trial_digests(record.license(), context)),
            ..record.view(command, context)
        }
    }

    /// Adds the key of a create, if it has one, and its trials.
    pub fn add_created(&mut self, new: &[NewLicense]) {
        self.trials.add(new.iter().flat_map(|one| &one.trial_claims));
        if let Some(NewLicense { idempotency, events, .. }) = new.first() {
            self.add(idempotency.as_ref(), events);
        }
    }

    /// Adds the key of a command that caused `events`, if it has one, and its trials.
    pub fn add_changes(&mut self, changes: &Changes, events: &[Event]) {
        self.add(changes.idempotency.as_ref(), events);
        self.trials.add(&changes.trial_claims);
    }

    /// Adds the key of a request that caused `events`, if it has one.
    pub fn add(&mut self, asked: Option<&Idempotency>, events: &[Event]) {
        if let (Some(Idempotency { key, request }), Some(event)) = (asked, events.first()) {
            self.keys.insert(*key, UsedKey { request: *request, event: event.id(), at: event.at });
        }
    }

    /// Removes keys from before a moment, at most `limit`. Returns the number removed.
    pub fn prune(&mut self, before: DateTime<Utc>, limit: u32) -> u64 {
        let old = self.keys.iter().filter(|(_, used)| used.at < before).map(|(key, _)| *key);
        let old: Vec<_> = old.take(limit as usize).collect();
        old.iter().filter(|key| self.keys.remove(key).is_some()).count() as u64
    }
}

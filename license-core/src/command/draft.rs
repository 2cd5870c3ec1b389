//! A license during one decision.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Changes, CommandOutcome, Decision, FormerCustomer, LeaseChanges};
use crate::access::Erasure;
use crate::event::{Event, EventType, NewEvents, Subject};
use crate::license::{
    Activation, ActivationId, Binding, Label, Lease, LeaseEnd, LeaseId, License, Reason, ReleaseCause,
};
use crate::trial::TrialClaim;

/// A license during one decision. A denial drops it, so that nothing changes.
pub(super) struct Draft {
    pub(super) license: License,
    pub(super) now: DateTime<Utc>,
    pub(super) added: Vec<Activation>,
    pub(super) released: Vec<ActivationId>,
    pub(super) labelled: Option<(ActivationId, Option<Label>)>,
    pub(super) events: NewEvents,
    pub(super) erased: Option<Erasure>,
    pub(super) former_customer: Option<FormerCustomer>,
    /// The reason that the caller gives.
    pub(super) reason: Option<Reason>,
    pub(super) trial_claims: Vec<TrialClaim>,
    /// The open leases of the activations that were read.
    pub(super) open_leases: Vec<Lease>,
    pub(super) leases: LeaseChanges,
}

impl Draft {
    pub(super) fn new(license: License, now: DateTime<Utc>) -> Self {
        let (added, released, events) = (Vec::new(), Vec::new(), NewEvents::default());
        let (labelled, erased, former_customer, reason) = (None, None, None, None);
        let (trial_claims, open_leases, leases) = (Vec::new(), Vec::new(), LeaseChanges::default());
        Self {
            license,
            now,
            added,
            released,
            labelled,
            events,
            erased,
            former_customer,
            reason,
            trial_claims,
            open_leases,
            leases,
        }
    }

    /// Adds an event. Each change must add one, because a draft without events is not written.
    pub(super) fn emit(&mut self, event_type: EventType, data: Value) {
        self.license.last_event += 1;
        self.events.push(Event {
            subject: Subject::License(self.license.id.clone()),
            sequence: self.license.last_event,
            event_type,
            at: self.now,
            data,
        });
    }

    /// Takes a slot. The caller must check that one is free.
    pub(super) fn add(&mut self, binding: Binding) {
        let id = ActivationId::new(&self.license.id, self.license.last_event + 1);
        *self.slots(&binding) += 1;
        let (created_at, label, held_until, is_returned) = (self.now, None, None, false);
        let activation = Activation { id, binding, created_at, label, held_until, is_returned };
        self.emit(EventType::ActivationCreated, json!({ "activation": activation_json(&activation) }));
        self.added.push(activation);
    }

    /// Frees a slot. Its open leases are revoked, or returned if that is the cause.
    pub(super) fn release(&mut self, activation: &Activation, cause: ReleaseCause) {
        let slots = self.slots(&activation.binding);
        *slots = slots.saturating_sub(1);
        let activation_data = activation_json(activation);
        let data =
            json!({ "activation": activation_data, "cause": cause.as_str(), "reason": self.reason_json() });
        self.emit(EventType::ActivationReleased, data);
        self.released.push(activation.id.clone());
        let end = if cause == ReleaseCause::Returned { LeaseEnd::Returned } else { LeaseEnd::Revoked };
        self.end_leases(activation, end);
    }

    /// Ends the open leases of an activation.
    pub(super) fn end_leases(&mut self, activation: &Activation, end: LeaseEnd) {
        let ended: Vec<_> = self.open_leases.extract_if(.., |lease| lease.is_of(&activation.id)).collect();
        for lease in ended {
            let data = json!({
                "lease": lease_json(&lease.id, lease.expires_at),
                "activation": activation_json(activation),
                "cause": end.as_str(),
            });
            self.emit(EventType::LeaseReleased, data);
            self.leases.ended.push((lease.id, end));
        }
    }

    /// Returns the reason that the caller gives, for the data of an event.
    pub(super) fn reason_json(&self) -> Value {
        json!(self.reason.as_ref().map(Reason::as_str))
    }

    fn slots(&mut self, binding: &Binding) -> &mut u64 {
        match binding {
            Binding::Domain(_) => &mut self.license.domains_used,
            Binding::Device(_) => &mut self.license.devices_used,
        }
    }

    pub(super) fn finish(mut self) -> Decision {
        if self.events.is_empty() {
            return Decision { outcome: CommandOutcome::Done(Arc::new(self.license)), changes: None };
        }
        self.license.version += 1;
        let changes = self.into_changes();
        Decision { outcome: CommandOutcome::Done(Arc::clone(&changes.license)), changes: Some(changes) }
    }

    pub(super) fn into_changes(self) -> Changes {
        let Self {
            license,
            added,
            released,
            labelled,
            events,
            erased,
            former_customer,
            trial_claims,
            leases,
            ..
        } = self;
        Changes {
            license: Arc::new(license),
            added,
            released,
            labelled,
            events,
            audit: None,
            erased,
            idempotency: None,
            former_customer,
            trial_claims,
            leases,
        }
    }
}

/// Returns the JSON of a lease for events.
pub(super) fn lease_json(id: &LeaseId, expires_at: DateTime<Utc>) -> Value {
    json!({ "id": id.as_str(), "expires_at": expires_at })
}

/// Returns the JSON of an activation for events and the audit, without its label, which may name a person.
pub(crate) fn activation_json(activation: &Activation) -> Value {
    json!({
        "id": activation.id.as_str(),
        "kind": activation.binding.kind().as_str(),
        "name": activation.binding.value(),
    })
}

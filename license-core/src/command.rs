//! Commands: what can be asked of one license, and the pure decision for each.
//!
//! A rule is written once, here, as a function of what is known; every store calls [`decide`] under its lock and writes
//! down the [`Decision`]. See `CONTRIBUTING.md` for how to add a command.

mod activate;
mod change;
mod create;
mod label;
mod lifecycle;
mod release;
mod tell;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::activation::{Activation, ActivationId, ActivationKind, Binding, Label, ReleaseReason};
use crate::audit::{self, Actor, AuditEntry, Erasure};
use crate::change::Change;
use crate::event::{Event, EventType, NewEvents, Subject};
use crate::key::{KeyDigest, SealedKey};
use crate::license::License;
use crate::plan::PlanCatalog;
use crate::seen::{SeenActivation, Unseen};
use crate::verdict::{Claim, Denial, evicted};

pub use change::{LicenseChange, TargetState};
pub use create::{Idempotency, IdempotencyKey, IdempotencyKeyError, LicenseSpec, NewLicense, create};
pub(crate) use lifecycle::in_reach;
pub use tell::{DayFigures, LIMIT_PAUSE, LimitNotice, UnusualKind, tell_expiry, tell_limit, tell_unusual};

/// What can be asked of one license.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Take the slots that a claim needs, for its domain and its device together or not at all, and note the first
    /// valid answer. Changes nothing where the claim holds all it needs.
    Activate(Claim),
    /// Free one slot.
    Release(ActivationId),
    /// Free the slot of that domain or device, as its customer asks, where the plan allows it.
    Deactivate(Binding),
    /// Free the slots of devices that were not seen for as long as the plan says; of many, those unseen for the longest. Denied
    /// as [`Denial::ActivationNotFound`] where there are none.
    ReleaseIdle,
    /// Call an activation so; `None`: by no label.
    Label(ActivationId, Option<Label>),
    /// Put on hold. Of a suspended license: nothing.
    Suspend,
    /// Put in force again. Of an active license: nothing.
    Reinstate,
    /// Add the plan's term to the later of now and `expires_at`.
    Renew,
    /// Change fields.
    Change(LicenseChange),
    /// Give it another key; the old one is unknown from then on.
    RotateKey {
        /// Finds it by the new key.
        digest: KeyDigest,
        /// The new key.
        sealed: SealedKey,
    },
    /// Make its customer anonymous, where it is this one: another address, no metadata, and the old address gone from its events and
    /// from the audit. Of a license of somebody else: nothing.
    Anonymise(Erasure),
    /// End it. Final. Of a revoked license: nothing.
    Revoke,
}

/// The activations that a decision looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// None.
    Nothing,
    /// The one with this id, if the license has it.
    One(ActivationId),
    /// Those that could cover a claim: of the kind domain with one of these texts, of the kind device with that text.
    Claim {
        /// Texts of domains, nearest first.
        domains: Vec<String>,
        /// The text of a fingerprint.
        fingerprint: Option<String>,
    },
    /// All of the kind domain, in any order, up to [`limits::DOMAINS_PER_REQUEST`](crate::limits::DOMAINS_PER_REQUEST).
    Domains,
}

impl Reads {
    /// The activations that could cover `claim`.
    #[must_use]
    pub fn of_claim(claim: &Claim) -> Self {
        Self::Claim {
            domains: claim.domain.as_ref().map(crate::domain::DomainName::covering_names).unwrap_or_default(),
            fingerprint: claim.fingerprint.as_ref().map(|fingerprint| fingerprint.as_str().to_owned()),
        }
    }
}

impl Command {
    /// The activations that the decision looks at; the store reads them under its lock.
    #[must_use]
    pub fn reads(&self) -> Reads {
        match self {
            Self::Activate(claim) => Reads::of_claim(claim),
            Self::Release(id) | Self::Label(id, _) => Reads::One(id.clone()),
            Self::Deactivate(binding) => Reads::of_claim(&Claim::of(binding)),
            Self::Change(change) if change.domains.is_some() => Reads::Domains,
            Self::Suspend
            | Self::Reinstate
            | Self::Renew
            | Self::Change(_)
            | Self::RotateKey { .. }
            | Self::Anonymise(_)
            | Self::ReleaseIdle
            | Self::Revoke => Reads::Nothing,
        }
    }

    /// The devices, unseen for the longest, that the decision looks at besides, of a license as it is under the store's lock.
    /// `None`: none, and so for most commands.
    #[must_use]
    pub fn unseen(&self, license: &License, context: &CommandContext) -> Option<Unseen> {
        let plan = context.plans.get(&license.plan)?;
        match self {
            Self::Activate(Claim { fingerprint: Some(_), .. }) => {
                let most = evicted(license.slots(ActivationKind::Device), plan)?;
                (most > 0).then_some(Unseen { before: None, most })
            }
            Self::ReleaseIdle => {
                let before = context.now.checked_sub_signed(plan.idle()?)?;
                Some(Unseen { before: Some(before), most: release::IDLE_AT_ONCE })
            }
            _ => None,
        }
    }
}

/// What a decision knows besides the license.
#[derive(Clone, Debug)]
pub struct CommandContext {
    /// The plans there are.
    pub plans: Arc<PlanCatalog>,
    /// The time of the call, in whole microseconds.
    pub now: DateTime<Utc>,
    /// The version that the caller saw; the license must still have it. `None`: any.
    pub expected_version: Option<u64>,
    /// Who asks, for the audit; `None`: nobody who is audited, as with a validation that takes a slot.
    pub by: Option<Arc<Actor>>,
}

/// A license and the activations that the command reads, under the store's lock.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The license.
    pub license: License,
    /// What [`Command::reads`] named.
    pub activations: Vec<Activation>,
    /// What [`Command::unseen`] named, unseen for the longest first. What the store knows of validations counts: all that
    /// were recorded before the decision began.
    pub unseen: Vec<SeenActivation>,
}

/// What a command led to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Done; the license as it is now. It may be as it was, where there was nothing to change.
    Done(Arc<License>),
    /// Refused by a rule; nothing changed.
    Denied(Denial),
}

/// What to write and what to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What to answer.
    pub outcome: Outcome,
    /// What to write first; `None`: nothing.
    pub changes: Option<Changes>,
}

/// What one command changes; written in one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The license as it becomes.
    pub license: Arc<License>,
    /// Activations to add.
    pub added: Vec<Activation>,
    /// Activations to remove, before others are added.
    pub released: Vec<ActivationId>,
    /// The activation to label, and the label.
    pub labelled: Option<(ActivationId, Option<Label>)>,
    /// Events to append, when they are [complete](NewEvents::complete).
    pub events: NewEvents,
    /// The entry to add to the audit.
    pub audit: Option<AuditEntry>,
    /// Whose address to replace in what is kept of this license, after all else is written: in the data of its events and in its
    /// entries of the audit, where metadata goes as well. All labels go.
    pub erased: Option<Erasure>,
}

impl Changes {
    /// What to tell other nodes, where the license had the key `before`.
    #[must_use]
    pub fn notices(&self, before: &KeyDigest) -> Vec<Change> {
        let License { id, key_digest, version, .. } = &*self.license;
        let change =
            |digest: &KeyDigest| Change { license_id: id.clone(), key_digest: *digest, version: *version };
        let old = (before != key_digest).then(|| change(before));
        old.into_iter().chain([change(key_digest)]).collect()
    }
}

/// Decides one command. Pure: the same view, command and context give the same decision.
#[must_use]
pub fn decide(view: View, command: &Command, context: &CommandContext) -> Decision {
    if let Some(expected) = context.expected_version
        && expected != view.license.version
    {
        return denied(Denial::Stale { version: view.license.version });
    }
    let before = context.by.as_ref().map(|by| (by, view.license.clone()));
    let View { license, activations, unseen } = view;
    let mut draft = Draft::new(license, context.now);
    let activations = &activations;
    let result = match command {
        Command::Activate(claim) => {
            activate::activate(&mut draft, activations, &unseen, claim, &context.plans)
        }
        Command::Release(id) => release::release(&mut draft, activations, id),
        Command::Deactivate(binding) => release::deactivate(&mut draft, activations, binding, &context.plans),
        Command::ReleaseIdle => release::release_idle(&mut draft, &unseen, &context.plans),
        Command::Label(id, label) => label::label(&mut draft, activations, id, label.as_ref()),
        Command::Suspend => lifecycle::suspend(&mut draft),
        Command::Reinstate => lifecycle::reinstate(&mut draft),
        Command::Renew => lifecycle::renew(&mut draft, &context.plans),
        Command::Change(change) => change::change(&mut draft, activations, change, &context.plans),
        Command::RotateKey { digest, sealed } => lifecycle::rotate_key(&mut draft, *digest, sealed),
        Command::Anonymise(erasure) => {
            lifecycle::anonymise(&mut draft, erasure);
            Ok(())
        }
        Command::Revoke => {
            lifecycle::revoke(&mut draft);
            Ok(())
        }
    };
    if let Err(denial) = result {
        return denied(denial);
    }
    let mut decision = draft.finish();
    if let (Some(changes), Some((by, before))) = (&mut decision.changes, before) {
        let read: Vec<_> = activations.iter().chain(unseen.iter().map(|seen| &seen.activation)).collect();
        let entry = audit::decided(&before, &read, command, changes, by, context.now);
        changes.audit = Some(entry);
    }
    decision
}

fn denied(denial: Denial) -> Decision {
    Decision { outcome: Outcome::Denied(denial), changes: None }
}

/// A license in the course of one decision. Dropped whole where the command is denied, so that a denial leaves nothing.
struct Draft {
    license: License,
    now: DateTime<Utc>,
    added: Vec<Activation>,
    released: Vec<ActivationId>,
    labelled: Option<(ActivationId, Option<Label>)>,
    events: NewEvents,
    erased: Option<Erasure>,
}

impl Draft {
    fn new(license: License, now: DateTime<Utc>) -> Self {
        let (added, released, events) = (Vec::new(), Vec::new(), NewEvents::default());
        Self { license, now, added, released, labelled: None, events, erased: None }
    }

    /// Notes an event; without one a draft counts as unchanged.
    fn emit(&mut self, event_type: EventType, data: Value) {
        self.license.last_event += 1;
        self.events.push(Event {
            subject: Subject::License(self.license.id.clone()),
            sequence: self.license.last_event,
            event_type,
            at: self.now,
            data,
        });
    }

    /// Binds a slot. Whether one is free is for the caller.
    fn add(&mut self, binding: Binding) {
        let id = ActivationId::new(&self.license.id, self.license.last_event + 1);
        *self.slots(&binding) += 1;
        let activation = Activation { id, binding, created_at: self.now, label: None };
        self.emit(EventType::ActivationCreated, json!({ "activation": told(&activation) }));
        self.added.push(activation);
    }

    /// Frees a slot.
    fn release(&mut self, activation: &Activation, reason: ReleaseReason) {
        let slots = self.slots(&activation.binding);
        *slots = slots.saturating_sub(1);
        let data = json!({ "activation": told(activation), "reason": reason.as_str() });
        self.emit(EventType::ActivationReleased, data);
        self.released.push(activation.id.clone());
    }

    fn slots(&mut self, binding: &Binding) -> &mut u64 {
        match binding {
            Binding::Domain(_) => &mut self.license.domains_used,
            Binding::Device(_) => &mut self.license.devices_used,
        }
    }

    fn finish(mut self) -> Decision {
        if self.events.is_empty() {
            return Decision { outcome: Outcome::Done(Arc::new(self.license)), changes: None };
        }
        self.license.version += 1;
        let changes = self.into_changes();
        Decision { outcome: Outcome::Done(Arc::clone(&changes.license)), changes: Some(changes) }
    }

    fn into_changes(self) -> Changes {
        let Self { license, now: _, added, released, labelled, events, erased } = self;
        Changes { license: Arc::new(license), added, released, labelled, events, audit: None, erased }
    }
}

/// An activation as events and the audit tell of it. Not its label, which may name a person.
pub(crate) fn told(activation: &Activation) -> Value {
    json!({
        "id": activation.id.as_str(),
        "kind": activation.binding.kind().as_str(),
        "name": activation.binding.value(),
    })
}

#[cfg(test)]
mod tests;

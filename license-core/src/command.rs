//! Commands on one license, and the pure decision for each.
//!
//! Each rule is written once, as a function of a view of the license. A store calls [`decide`] under its
//! lock and writes the [`Decision`]. See `CONTRIBUTING.md` for how to add a command.

mod activate;
mod apply_plan;
mod audit;
mod block;
mod change;
mod create;
mod draft;
mod events;
mod grant;
mod idempotency;
mod label;
mod lease;
mod lifecycle;
mod release;
mod snapshot;
mod term;
mod trial;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::access::{Actor, AuditEntry, Erasure};
use crate::bulk::BulkJobId;
use crate::catalog::PlanCatalog;
use crate::event::NewEvents;
use crate::key::{KeyDigest, SealedKey};
use crate::license::{
    Activation, ActivationId, ActivationKind, ActivationTarget, BlockId, CustomerEmail, Grant, GrantId,
    Label, Lease, LeaseId, LeaseUsage, License, LicenseChanged, Reason,
};
use crate::trial::{TrialClaim, TrialKeys};
use crate::usage::{EvictionCandidate, LeastRecentlySeen};
use crate::validation::{Claim, Denial, DeniedLicense, evicted};

pub use change::{LicensePatch, TargetState};
pub use create::{LicenseSpec, NewLicense, create};
use draft::Draft;
pub(crate) use draft::activation_json;
pub use events::{
    AnomalyKind, DailyCounts, LIMIT_EVENT_INTERVAL, LimitReached, anomaly_events, expiry_events, limit_event,
};
pub use idempotency::{Idempotency, IdempotencyDigest, IdempotencyKey, IdempotencyKeyError, UsedKey};
pub use lease::{HeldSlot, LeaseChanges, LeaseSigner, NewLease, RevokedSlots};
pub(crate) use release::refuse_customer_release;
pub(crate) use term::{start_term, start_updates};
use trial::Trials;
pub(crate) use trial::refuse_shared_trials;

/// A command on one license.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Takes all slots that a claim needs, or none, and sets `activated_at` if it is not set. Starts the term
    /// if it waits for the first use. Changes nothing if the claim already holds its slots.
    Activate(Claim),
    /// Frees one slot.
    Release(ActivationId),
    /// Frees the slot of a domain or device for the customer, if the plan allows it.
    Deactivate(ActivationTarget),
    /// Frees the slots of devices unseen for the plan's idle time, least recently seen first. Denied as
    /// [`Denial::ActivationNotFound`] if no device is idle.
    ReleaseIdle,
    /// Labels an activation; `None` removes the label.
    Label(ActivationId, Option<Label>),
    /// Suspends the license.
    Suspend,
    /// Reinstates a suspended license.
    Reinstate,
    /// Adds the plan's term to the later of now and `expires_at`, and its updates window to the later of now
    /// and `updates_until`.
    Renew,
    /// Changes fields.
    Change(LicensePatch),
    /// Replaces the key; the old key stops working.
    RotateKey {
        /// The digest of the new key.
        digest: KeyDigest,
        /// The new key.
        sealed: SealedKey,
        /// Whether to free all slots of devices and of domains that customers can take, and to revoke all
        /// leases. Wildcards, and all domains under [`RegisteredOnly`](crate::catalog::DomainPolicy), stay.
        release: bool,
    },
    /// Erases the customer, if the license still belongs to it: replaces the address, also in events and
    /// in the audit, and removes the metadata.
    EraseCustomer(Erasure),
    /// Revokes the license. Final.
    Revoke,
    /// Grants a feature, in place of the grant with the same feature and source.
    AddGrant(Grant),
    /// Removes a grant.
    RemoveGrant(GrantId),
    /// Blocks a domain or a device, and frees its slot if it holds one.
    Block(ActivationTarget),
    /// Removes a block.
    Unblock(BlockId),
    /// Moves the license to this version of its plan. Its [overrides](crate::license::Overrides) and
    /// `expires_at` stay; its updates window follows the plan as with [`LicensePatch::plan`]. Changes nothing
    /// if the license has another plan, or this version or a newer one.
    ApplyPlan {
        /// The name of the plan.
        plan: String,
        /// The version.
        version: u32,
    },
    /// Takes the slots that a claim needs, as [`Activate`](Self::Activate), and issues a lease that holds
    /// them.
    Lease(NewLease),
    /// Hands a lease back, and all others of its device. The slot of the device is free at once if the plan
    /// trusts that no copy is left, and otherwise when the last lease ends.
    ReturnLease(LeaseId),
    /// Frees the slots of devices whose leases were handed back and have ended. Denied as
    /// [`Denial::ActivationNotFound`] if there are none.
    ReleaseReturned,
}

/// The activations that a decision needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// None.
    Nothing,
    /// The activation with this id, if any.
    One(ActivationId),
    /// The activations that could cover a claim.
    Claim {
        /// Texts of domains, nearest first.
        domains: Vec<String>,
        /// Text of the fingerprint.
        fingerprint: Option<String>,
    },
    /// All domains, in any order, up to [`limits::DOMAINS_PER_REQUEST`](crate::limits::DOMAINS_PER_REQUEST).
    Domains,
    /// All wildcards.
    Wildcards,
    /// The device of the lease with this id, and the domains of all leases of that device.
    OfLease(LeaseId),
    /// Devices whose leases were handed back and are over at this time, at most
    /// [`limits::RELEASED_AT_ONCE`](crate::limits::RELEASED_AT_ONCE).
    Returned(DateTime<Utc>),
}

impl Reads {
    /// Returns the activations that could cover `claim`.
    #[must_use]
    pub fn of_claim(claim: &Claim) -> Self {
        Self::Claim {
            domains: claim.domain.as_ref().map(crate::domain::DomainName::covering_names).unwrap_or_default(),
            fingerprint: claim.fingerprint.as_ref().map(|fingerprint| fingerprint.as_str().to_owned()),
        }
    }

    /// Returns the activation with this id, or those that could cover this binding.
    fn of_target(target: &ActivationTarget) -> Self {
        match target {
            ActivationTarget::Id(id) => Self::One(id.clone()),
            ActivationTarget::Binding(binding) => Self::of_claim(&Claim::of(binding)),
        }
    }
}

impl Command {
    /// Returns the activations that the store must read under its lock.
    #[must_use]
    pub fn reads(&self, context: &CommandContext) -> Reads {
        match self {
            Self::Activate(claim) | Self::Lease(NewLease { claim, .. }) => Reads::of_claim(claim),
            Self::Release(id) | Self::Label(id, _) => Reads::One(id.clone()),
            Self::Deactivate(target) | Self::Block(target) => Reads::of_target(target),
            Self::Change(change) if change.domains.is_some() => Reads::Domains,
            Self::RotateKey { release: true, .. } => Reads::Wildcards,
            Self::ReturnLease(id) => Reads::OfLease(id.clone()),
            Self::ReleaseReturned => Reads::Returned(context.now),
            Self::Suspend
            | Self::Reinstate
            | Self::Renew
            | Self::Change(_)
            | Self::RotateKey { .. }
            | Self::EraseCustomer(_)
            | Self::ReleaseIdle
            | Self::Revoke
            | Self::AddGrant(_)
            | Self::RemoveGrant(_)
            | Self::Unblock(_)
            | Self::ApplyPlan { .. } => Reads::Nothing,
        }
    }

    /// Returns the name of the operation if a repeated command has its effect again, so that an idempotency
    /// key matters.
    #[must_use]
    pub fn repeatable_operation(&self) -> Option<&'static str> {
        match self {
            Self::Renew | Self::RotateKey { .. } => Some(audit::action(self)),
            Self::Activate(_)
            | Self::Release(_)
            | Self::Deactivate(_)
            | Self::ReleaseIdle
            | Self::Label(..)
            | Self::Suspend
            | Self::Reinstate
            | Self::Change(_)
            | Self::EraseCustomer(_)
            | Self::Revoke
            | Self::AddGrant(_)
            | Self::RemoveGrant(_)
            | Self::Block(_)
            | Self::Unblock(_)
            | Self::ApplyPlan { .. }
            | Self::Lease(_)
            | Self::ReturnLease(_)
            | Self::ReleaseReturned => None,
        }
    }

    /// Returns whether the store must also read the open leases of the activations, given the license under
    /// its lock.
    #[must_use]
    pub fn reads_leases(&self, license: &License, context: &CommandContext) -> bool {
        let frees_slots = match self {
            Self::Release(_) | Self::Block(_) | Self::ReturnLease(_) => true,
            Self::Change(change) => change.domains.is_some(),
            _ => false,
        };
        frees_slots && license.may_have_leases(context.now)
    }

    /// Returns whether the store must also read the [`LeaseUsage`], given the license under its lock.
    #[must_use]
    pub fn reads_lease_usage(&self, license: &License, context: &CommandContext) -> bool {
        let is_full = !license.slots(ActivationKind::Device).has_free();
        match self {
            Self::Activate(_) => is_full && license.may_have_leases(context.now),
            // The usage of a license without leases is zero.
            Self::Lease(_) => license.leased_until.is_some(),
            _ => false,
        }
    }

    /// Returns the devices that the store must also read, given the license under its lock.
    #[must_use]
    pub fn eviction_candidates(
        &self,
        license: &License,
        context: &CommandContext,
    ) -> Option<LeastRecentlySeen> {
        let plan = context.plans.version(&license.plan, license.plan_version)?;
        match self {
            Self::Activate(Claim { fingerprint: Some(_), .. })
            | Self::Lease(NewLease { claim: Claim { fingerprint: Some(_), .. }, .. }) => {
                let limit = evicted(license, plan)?;
                (limit > 0).then_some(LeastRecentlySeen { before: None, limit, now: context.now })
            }
            Self::ReleaseIdle => {
                let before = context.now.checked_sub_signed(plan.idle()?)?;
                Some(LeastRecentlySeen { before: Some(before), limit: release::IDLE_BATCH, now: context.now })
            }
            _ => None,
        }
    }
}

/// The inputs of a decision other than the license and the command.
#[derive(Clone, Debug)]
pub struct CommandContext {
    /// The plan catalog.
    pub plans: Arc<PlanCatalog>,
    /// The time of the call, in whole microseconds.
    pub now: DateTime<Utc>,
    /// The version that the license must still have; `None` is any.
    pub expected_version: Option<u64>,
    /// The digest of the key that the license must still have; `None` is any. A key can be replaced after the
    /// license was found by it.
    pub expected_key: Option<KeyDigest>,
    /// The actor for the audit; `None` if the command is not audited, such as one of a validation.
    pub by: Option<Arc<Actor>>,
    /// The idempotency key of the request, if any. It must be stored in the commit of the change.
    pub idempotency: Option<Idempotency>,
    /// The reason that the caller gives, for the events and the audit. A suspended or revoked license and a
    /// block keep it.
    pub reason: Option<Reason>,
    /// The bulk job that runs the command, if any. Its events name the job.
    pub job: Option<BulkJobId>,
    /// The keys of trial digests.
    pub trials: TrialKeys,
}

impl CommandContext {
    /// Returns the context of a caller that names the license by its key.
    #[must_use]
    pub fn of_key(self, digest: KeyDigest) -> Self {
        Self { expected_key: Some(digest), ..self }
    }
}

/// A license and the activations that a command needs, read under the store's lock.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The license.
    pub license: License,
    /// The activations that [`Command::reads`] asks for.
    pub activations: Vec<Activation>,
    /// The devices that [`Command::eviction_candidates`] asks for, least recently seen first. All
    /// validations recorded before the decision count.
    pub eviction_candidates: Vec<EvictionCandidate>,
    /// The earlier request with the key of [`CommandContext::idempotency`], if any.
    pub used_key: Option<UsedKey>,
    /// The stored claims of the digests that [`Command::trial_digests`] returns.
    pub trial_claims: Vec<TrialClaim>,
    /// The open leases of the activations, if [`Command::reads_leases`] asks for them.
    pub leases: Vec<Lease>,
    /// The usage of leases, if [`Command::reads_lease_usage`] asks for it.
    pub lease_usage: LeaseUsage,
}

/// The outcome of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandOutcome {
    /// Executed; the license as it is now, possibly unchanged.
    Done(Arc<License>),
    /// Executed by an earlier request with the same idempotency key and content; the license as it is now.
    Repeated(Arc<License>),
    /// Denied by a rule; nothing changed.
    Denied(Denial),
    /// The claim of [`Command::Activate`] was denied; nothing changed. Has the license as read under the
    /// lock.
    NotActivated(DeniedLicense),
}

/// The result of a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The answer.
    pub outcome: CommandOutcome,
    /// Changes to write before answering, if any.
    pub changes: Option<Changes>,
}

/// The changes of one command, written in one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The new license.
    pub license: Arc<License>,
    /// Activations to add.
    pub added: Vec<Activation>,
    /// Activations to remove before others are added.
    pub released: Vec<ActivationId>,
    /// The activation to label, and its label.
    pub labelled: Option<(ActivationId, Option<Label>)>,
    /// Events to append, after they are [completed](NewEvents::complete).
    pub events: NewEvents,
    /// The audit entry to add.
    pub audit: Option<AuditEntry>,
    /// The address to replace in the stored events and audit entries of this license, after all other writes.
    /// Metadata and reasons in the audit, all labels and the reasons of its bulk jobs are removed too.
    pub erased: Option<Erasure>,
    /// The idempotency key to add, with the first of the events.
    pub idempotency: Option<Idempotency>,
    /// The customer that the license belonged to before, to add to its former customers.
    pub former_customer: Option<FormerCustomer>,
    /// Trial claims to add. If one of them was added since the view was read, nothing may be written, and the
    /// command must be decided again.
    pub trial_claims: Vec<TrialClaim>,
    /// Changes of leases.
    pub leases: LeaseChanges,
}

/// A customer that a license no longer belongs to. An erasure finds its address in old events and audit
/// entries of the license.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerCustomer {
    /// The address.
    pub email: CustomerEmail,
    /// The time of the change.
    pub until: DateTime<Utc>,
}

impl Changes {
    /// Returns the notices for other nodes. `before` is the previous key of the license.
    #[must_use]
    pub fn notices(&self, before: &KeyDigest) -> Vec<LicenseChanged> {
        let new = LicenseChanged::from(&*self.license);
        let old = (*before != new.key_digest).then(|| LicenseChanged { key_digest: *before, ..new.clone() });
        old.into_iter().chain([new]).collect()
    }
}

/// Decides a command. Pure: the same view, command and context give the same decision.
///
/// A used idempotency key is decided first, so that a repeated request is answered even if it would be denied
/// now, for example because the license has changed.
#[must_use]
pub fn decide(view: View, command: &Command, context: &CommandContext) -> Decision {
    if let (Some(asked), Some(used)) = (&context.idempotency, &view.used_key) {
        if asked.request != used.request {
            return denied(Denial::KeyReused);
        }
        return Decision { outcome: CommandOutcome::Repeated(Arc::new(view.license)), changes: None };
    }
    if let Some(expected) = context.expected_version
        && expected != view.license.version
    {
        return denied(Denial::Stale { version: view.license.version });
    }
    if context.expected_key.is_some_and(|expected| expected != view.license.key_digest) {
        return denied(Denial::KeyReplaced);
    }
    let before = context.by.as_ref().map(|by| (by, view.license.clone()));
    let View { license, activations, eviction_candidates, used_key: _, trial_claims, leases, lease_usage } =
        view;
    let trials = Trials { keys: &context.trials, stored: &trial_claims };
    let mut draft =
        Draft { reason: context.reason.clone(), open_leases: leases, ..Draft::new(license, context.now) };
    let activations = &activations;
    let result = match command {
        Command::Activate(claim) | Command::Lease(NewLease { claim, .. }) => {
            let new = if let Command::Lease(new) = command { Some(new) } else { None };
            let before = new.map(|_| draft.license.clone());
            let (plans, usage) = (&context.plans, &lease_usage);
            let claimed = activate::activate(
                &mut draft,
                activations,
                &eviction_candidates,
                claim,
                plans,
                &trials,
                usage,
            );
            let issue = |new| lease::issue(&mut draft, activations, new, plans, usage);
            match claimed.and_then(|()| new.map_or(Ok(()), issue).map_err(|denial| vec![denial])) {
                Ok(()) => Ok(()),
                // A lease can be denied after its slots were taken.
                Err(denials) => return not_activated(denials, before.unwrap_or(draft.license)),
            }
        }
        Command::Release(id) => release::release(&mut draft, activations, id),
        Command::Deactivate(target) => release::deactivate(&mut draft, activations, target, &context.plans),
        Command::ReleaseIdle => release::release_idle(&mut draft, &eviction_candidates, &context.plans),
        Command::Label(id, label) => label::label(&mut draft, activations, id, label.as_ref()),
        Command::Suspend => lifecycle::suspend(&mut draft),
        Command::Reinstate => lifecycle::reinstate(&mut draft),
        Command::Renew => lifecycle::renew(&mut draft, &context.plans),
        Command::Change(change) => change::change(&mut draft, activations, change, &context.plans, &trials),
        Command::RotateKey { digest, sealed, release } => {
            lifecycle::rotate_key(&mut draft, activations, (*digest, sealed), *release, &context.plans)
        }
        Command::EraseCustomer(erasure) => {
            lifecycle::erase_customer(&mut draft, erasure);
            Ok(())
        }
        Command::Revoke => {
            lifecycle::revoke(&mut draft);
            Ok(())
        }
        Command::AddGrant(new) => grant::add(&mut draft, new),
        Command::RemoveGrant(id) => grant::remove(&mut draft, id),
        Command::Block(target) => block::block(&mut draft, activations, target),
        Command::Unblock(id) => block::unblock(&mut draft, id),
        Command::ApplyPlan { plan, version } => {
            apply_plan::apply_plan(&mut draft, plan, *version, &context.plans)
        }
        Command::ReturnLease(id) => lease::hand_back(&mut draft, activations, id, &context.plans),
        Command::ReleaseReturned => lease::release_returned(&mut draft, activations),
    };
    if let Err(denial) = result {
        return denied(denial);
    }
    let mut decision = draft.finish();
    if let Some(changes) = &mut decision.changes {
        changes.idempotency = context.idempotency;
        if let Some(job) = &context.job {
            changes.events.name_job(job);
        }
    }
    if let (Some(changes), Some((by, before))) = (&mut decision.changes, before) {
        let read: Vec<_> = activations
            .iter()
            .chain(eviction_candidates.iter().map(|candidate| &candidate.activation))
            .collect();
        let entry = audit::decided(&before, &read, command, changes, by, context.now);
        changes.audit = Some(AuditEntry { reason: context.reason.clone(), ..entry });
    }
    decision
}

fn denied(denial: Denial) -> Decision {
    Decision { outcome: CommandOutcome::Denied(denial), changes: None }
}

fn not_activated(denials: Vec<Denial>, license: License) -> Decision {
    match DeniedLicense::new(denials, Arc::new(license)) {
        Ok(license) => Decision { outcome: CommandOutcome::NotActivated(license), changes: None },
        Err(denial) => denied(denial),
    }
}

#[cfg(test)]
mod tests;

//! Frees slots: by id, by the customer, and of idle devices.

use super::Draft;
use super::lifecycle::refuse_revoked;
use crate::catalog::{DomainPolicy, Plan, PlanCatalog};
use crate::license::{Activation, ActivationId, ActivationTarget, Binding, License, ReleaseCause};
use crate::usage::EvictionCandidate;
use crate::validation::{Denial, plan_of, refuse_inactive};

/// Devices that one command releases as idle. Callers repeat the command for more.
pub(super) const IDLE_BATCH: u32 = 32;

pub(super) fn release(
    draft: &mut Draft,
    activations: &[Activation],
    id: &ActivationId,
) -> Result<(), Denial> {
    refuse_revoked(draft)?;
    draft.release(find(activations, id)?, ReleaseCause::Admin);
    Ok(())
}

pub(super) fn find<'a>(activations: &'a [Activation], id: &ActivationId) -> Result<&'a Activation, Denial> {
    activations.iter().find(|activation| activation.id == *id).ok_or(Denial::ActivationNotFound)
}

/// Denies customers the release of slots, and the list of them, unless the license and its plan allow it.
/// Expired licenses are allowed, suspended ones are not.
pub(crate) fn refuse_customer_release<'a>(
    license: &License,
    plans: &'a PlanCatalog,
) -> Result<&'a Plan, Denial> {
    refuse_inactive(license)?;
    let plan = plan_of(license, plans)?;
    if plan.customer_release { Ok(plan) } else { Err(Denial::ReleaseNotAllowed) }
}

/// Frees a slot that the customer can take again: not a wildcard, and no domain under `RegisteredOnly`.
pub(super) fn deactivate(
    draft: &mut Draft,
    activations: &[Activation],
    target: &ActivationTarget,
    plans: &PlanCatalog,
) -> Result<(), Denial> {
    let plan = refuse_customer_release(&draft.license, plans)?;
    let held = match target {
        ActivationTarget::Id(id) => find(activations, id)?,
        ActivationTarget::Binding(binding) => find_holder(activations, binding)?,
    };
    if let Binding::Domain(domain) = &held.binding
        && (plan.domain_policy == DomainPolicy::RegisteredOnly || domain.is_wildcard())
    {
        return Err(Denial::DomainRegistered { domain: domain.clone() });
    }
    if let Some(until) = held.held_until.filter(|_| held.is_held(draft.now)) {
        return Err(Denial::ActivationHeld { until });
    }
    draft.release(held, ReleaseCause::Customer);
    Ok(())
}

/// Returns the activation of a domain or device: the domain itself before a wildcard that covers it.
pub(super) fn find_holder<'a>(
    activations: &'a [Activation],
    binding: &Binding,
) -> Result<&'a Activation, Denial> {
    let covers = |held: &&Activation| match (&held.binding, binding) {
        (Binding::Domain(registered), Binding::Domain(domain)) => registered.covers(domain),
        (held, asked) => held == asked,
    };
    let exact = activations.iter().find(|held| held.binding == *binding);
    exact.or_else(|| activations.iter().find(covers)).ok_or(Denial::ActivationNotFound)
}

/// Frees slots of idle devices. Domains are not released: a site may be alive without validations.
pub(super) fn release_idle(
    draft: &mut Draft,
    candidates: &[EvictionCandidate],
    plans: &PlanCatalog,
) -> Result<(), Denial> {
    refuse_revoked(draft)?;
    let idle = plan_of(&draft.license, plans)?.idle();
    let before =
        idle.and_then(|idle| draft.now.checked_sub_signed(idle)).ok_or(Denial::ActivationNotFound)?;
    let device = |candidate: &&EvictionCandidate| matches!(candidate.activation.binding, Binding::Device(_));
    let now = draft.now;
    let is_idle =
        |candidate: &&EvictionCandidate| candidate.seen_at < before && !candidate.activation.is_held(now);
    let mut idle = candidates.iter().filter(device).filter(is_idle).peekable();
    idle.peek().ok_or(Denial::ActivationNotFound)?;
    idle.for_each(|candidate| draft.release(&candidate.activation, ReleaseCause::Idle));
    Ok(())
}

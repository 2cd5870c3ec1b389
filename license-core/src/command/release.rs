//! Frees slots: by id, by the customer, and of idle devices.

use super::Draft;
use super::lifecycle::refuse_revoked;
use crate::catalog::{DomainPolicy, PlanCatalog};
use crate::license::{Activation, ActivationId, Binding, ReleaseReason};
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
    draft.release(find(activations, id)?, ReleaseReason::Admin);
    Ok(())
}

pub(super) fn find<'a>(activations: &'a [Activation], id: &ActivationId) -> Result<&'a Activation, Denial> {
    activations.iter().find(|activation| activation.id == *id).ok_or(Denial::ActivationNotFound)
}

/// Frees a slot that the customer can take again: not a wildcard, and no domain under `RegisteredOnly`.
/// Expired licenses are allowed, suspended ones are not.
pub(super) fn deactivate(
    draft: &mut Draft,
    activations: &[Activation],
    binding: &Binding,
    plans: &PlanCatalog,
) -> Result<(), Denial> {
    refuse_inactive(&draft.license)?;
    let plan = plan_of(&draft.license, plans)?;
    if !plan.customer_release {
        return Err(Denial::ReleaseNotAllowed);
    }
    let holds = |held: &&Activation| match (&held.binding, binding) {
        (Binding::Domain(registered), Binding::Domain(domain)) => registered.covers(domain),
        (held, asked) => held == asked,
    };
    // The domain itself comes before a wildcard that covers it.
    let exact = activations.iter().find(|held| held.binding == *binding);
    let held = exact.or_else(|| activations.iter().find(holds)).ok_or(Denial::ActivationNotFound)?;
    if let Binding::Domain(domain) = &held.binding
        && (plan.domain_policy == DomainPolicy::RegisteredOnly || held.binding != *binding)
    {
        return Err(Denial::DomainRegistered { domain: domain.clone() });
    }
    draft.release(held, ReleaseReason::Customer);
    Ok(())
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
    let mut idle = candidates.iter().filter(device).filter(|candidate| candidate.seen_at < before).peekable();
    idle.peek().ok_or(Denial::ActivationNotFound)?;
    idle.for_each(|candidate| draft.release(&candidate.activation, ReleaseReason::Idle));
    Ok(())
}

//! Free slots: one that is named, the customer's own, those that nobody uses.

use super::Draft;
use super::lifecycle::refuse_revoked;
use crate::activation::{Activation, ActivationId, Binding, ReleaseReason};
use crate::license::LicenseState;
use crate::plan::{DomainPolicy, PlanCatalog};
use crate::seen::SeenActivation;
use crate::verdict::{Denial, plan_of};

/// Devices that one command releases as idle, so that a commit stays short; of more, the rest is for the next one.
pub(super) const IDLE_AT_ONCE: u32 = 32;

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

/// What a customer frees, the same customer can take again: neither a wildcard, which only the vendor registers, nor a domain
/// where only registered ones are admitted. A license that has expired may be tidied; one on hold is the vendor's.
pub(super) fn deactivate(
    draft: &mut Draft,
    activations: &[Activation],
    binding: &Binding,
    plans: &PlanCatalog,
) -> Result<(), Denial> {
    match draft.license.state {
        LicenseState::Revoked => return Err(Denial::Revoked),
        LicenseState::Suspended => return Err(Denial::Suspended),
        LicenseState::Active => {}
    }
    let plan = plan_of(&draft.license, plans)?;
    if !plan.customer_release {
        return Err(Denial::ReleaseNotAllowed);
    }
    let holds = |held: &&Activation| match (&held.binding, binding) {
        (Binding::Domain(registered), Binding::Domain(domain)) => registered.covers(domain),
        (held, asked) => held == asked,
    };
    // The domain itself before a wildcard that covers it as well.
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

/// [`Denial::ActivationNotFound`] where none is idle. Devices only: domains are mostly the vendor's word, and a site that is not asked for long is there all the same.
pub(super) fn release_idle(
    draft: &mut Draft,
    unseen: &[SeenActivation],
    plans: &PlanCatalog,
) -> Result<(), Denial> {
    refuse_revoked(draft)?;
    let idle = plan_of(&draft.license, plans)?.idle();
    let before =
        idle.and_then(|idle| draft.now.checked_sub_signed(idle)).ok_or(Denial::ActivationNotFound)?;
    let device = |seen: &&SeenActivation| matches!(seen.activation.binding, Binding::Device(_));
    let mut idle = unseen.iter().filter(device).filter(|seen| seen.seen_at < before).peekable();
    idle.peek().ok_or(Denial::ActivationNotFound)?;
    idle.for_each(|seen| draft.release(&seen.activation, ReleaseReason::Idle));
    Ok(())
}

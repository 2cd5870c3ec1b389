//! Takes the slots that a claim needs.

use serde_json::json;

use super::Draft;
use super::Trials;
use super::term::start_term;
use crate::catalog::PlanCatalog;
use crate::event::EventType;
use crate::license::{Activation, ActivationKind, Binding, LeaseUsage, ReleaseCause, Slots};
use crate::usage::EvictionCandidate;
use crate::validation::{Claim, Denial, HeldSlots, assess, plan_of};

pub(super) fn activate(
    draft: &mut Draft,
    activations: &[Activation],
    candidates: &[EvictionCandidate],
    claim: &Claim,
    plans: &PlanCatalog,
    trials: &Trials<'_>,
    usage: &LeaseUsage,
) -> Result<(), Vec<Denial>> {
    let held = HeldSlots::of(claim, activations.iter().map(|activation| &activation.binding));
    let plan = plan_of(&draft.license, plans).map(AsRef::as_ref);
    let needed = assess(&draft.license, plan.clone(), held, claim, draft.now).map_err(|denials| {
        denials.into_iter().map(|denial| with_held_slots(denial, usage)).collect::<Vec<_>>()
    })?;
    let evicted = candidates.get(..needed.evicted as usize).ok_or_else(|| {
        // Leases hold the slots of the other devices.
        let Slots { used, limit } = draft.license.slots(ActivationKind::Device);
        vec![Denial::DeviceLimitReached { used, limit, held: usage.held, next_free_at: usage.next_free_at }]
    })?;
    if let (Some(fingerprint), true, Ok(plan)) = (&claim.fingerprint, needed.device, plan) {
        trials.claim_device(draft, plan, fingerprint).map_err(|denial| vec![denial])?;
    }
    if needed.first {
        draft.license.activated_at = Some(draft.now);
        if draft.license.awaits_first_use() {
            let plan = plan_of(&draft.license, plans);
            let started = plan.and_then(|plan| start_term(&mut draft.license, plan, draft.now));
            started.map_err(|denial| vec![denial])?;
        }
        draft.emit(EventType::LicenseActivated, json!({}));
    }
    for candidate in evicted {
        draft.release(&candidate.activation, ReleaseCause::Evicted);
    }
    if let Some(domain) = claim.domain.as_ref().filter(|_| needed.domain) {
        draft.add(Binding::Domain(domain.clone()));
        note_over_limit(draft, ActivationKind::Domain);
    }
    if let Some(fingerprint) = claim.fingerprint.as_ref().filter(|_| needed.device) {
        draft.add(Binding::Device(fingerprint.clone()));
        note_over_limit(draft, ActivationKind::Device);
    }
    Ok(())
}

/// Adds the held slots to the denial of a device.
fn with_held_slots(denial: Denial, usage: &LeaseUsage) -> Denial {
    match denial {
        Denial::DeviceLimitReached { used, limit, .. } => {
            let LeaseUsage { held, next_free_at, .. } = *usage;
            Denial::DeviceLimitReached { used, limit, held, next_free_at }
        }
        other => other,
    }
}

/// Adds an event if the slot that was taken last is beyond the limit.
fn note_over_limit(draft: &mut Draft, kind: ActivationKind) {
    let slots = draft.license.slots(kind);
    if slots.is_over() {
        let data = json!({ "kind": kind.as_str(), "used": slots.used, "limit": slots.limit });
        draft.emit(EventType::LicenseOverLimit, data);
    }
}

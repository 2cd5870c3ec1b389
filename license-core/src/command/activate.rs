//! Takes the slots that a claim needs.

use serde_json::json;

use super::Draft;
use crate::catalog::PlanCatalog;
use crate::event::EventType;
use crate::license::{Activation, ActivationKind, Binding, ReleaseCause, Slots};
use crate::usage::EvictionCandidate;
use crate::validation::{Claim, Denial, HeldSlots, assess};

pub(super) fn activate(
    draft: &mut Draft,
    activations: &[Activation],
    candidates: &[EvictionCandidate],
    claim: &Claim,
    plans: &PlanCatalog,
) -> Result<(), Denial> {
    let held = HeldSlots::of(claim, activations.iter().map(|activation| &activation.binding));
    let needed = assess(&draft.license, plans, held, claim, draft.now)?;
    let evicted = candidates.get(..needed.evicted as usize).ok_or_else(|| {
        // The store found too few devices to evict. Denying is safer than overselling.
        let Slots { used, limit } = draft.license.slots(ActivationKind::Device);
        Denial::DeviceLimitReached { used, limit }
    })?;
    if needed.first {
        draft.license.activated_at = Some(draft.now);
        draft.emit(EventType::LicenseActivated, json!({}));
    }
    for candidate in evicted {
        draft.release(&candidate.activation, ReleaseCause::Evicted);
    }
    if let Some(domain) = claim.domain.as_ref().filter(|_| needed.domain) {
        draft.add(Binding::Domain(domain.clone()));
    }
    if let Some(fingerprint) = claim.fingerprint.as_ref().filter(|_| needed.device) {
        draft.add(Binding::Device(fingerprint.clone()));
    }
    Ok(())
}

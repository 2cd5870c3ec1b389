//! Take the slots that a claim needs.

use serde_json::json;

use super::Draft;
use crate::activation::{Activation, ActivationKind, Binding, ReleaseReason};
use crate::event::EventType;
use crate::license::Slots;
use crate::plan::PlanCatalog;
use crate::seen::SeenActivation;
use crate::verdict::{Claim, Denial, Held, assess, plan_of};

pub(super) fn activate(
    draft: &mut Draft,
    activations: &[Activation],
    unseen: &[SeenActivation],
    claim: &Claim,
    plans: &PlanCatalog,
) -> Result<(), Denial> {
    let held = Held::of(claim, activations.iter().map(|activation| &activation.binding));
    let needed = assess(&draft.license, plan_of(&draft.license, plans)?, held, claim, draft.now)?;
    let evicted = unseen.get(..needed.evicted as usize).ok_or_else(|| {
        // A store that does not find as many as hold slots; better none more than one too many.
        let Slots { used, limit } = draft.license.slots(ActivationKind::Device);
        Denial::DeviceLimitReached { used, limit }
    })?;
    if needed.first {
        draft.license.activated_at = Some(draft.now);
        draft.emit(EventType::LicenseActivated, json!({}));
    }
    for seen in evicted {
        draft.release(&seen.activation, ReleaseReason::Evicted);
    }
    if let Some(domain) = claim.domain.as_ref().filter(|_| needed.domain) {
        draft.add(Binding::Domain(domain.clone()));
    }
    if let Some(fingerprint) = claim.fingerprint.as_ref().filter(|_| needed.device) {
        draft.add(Binding::Device(fingerprint.clone()));
    }
    Ok(())
}

//! Take the slots that a claim needs.

use serde_json::json;

use super::Draft;
use crate::activation::{Activation, Binding};
use crate::event::EventType;
use crate::plan::PlanCatalog;
use crate::verdict::{Claim, Denial, Held, assess, plan_of};

pub(super) fn activate(
    draft: &mut Draft,
    activations: &[Activation],
    claim: &Claim,
    plans: &PlanCatalog,
) -> Result<(), Denial> {
    let held = Held::of(claim, activations.iter().map(|activation| &activation.binding));
    let needed = assess(&draft.license, plan_of(&draft.license, plans)?, held, claim, draft.now)?;
    if needed.first {
        draft.license.activated_at = Some(draft.now);
        draft.emit(EventType::LicenseActivated, json!({}));
    }
    if let Some(domain) = claim.domain.as_ref().filter(|_| needed.domain) {
        draft.add(Binding::Domain(domain.clone()));
    }
    if let Some(fingerprint) = claim.fingerprint.as_ref().filter(|_| needed.device) {
        draft.add(Binding::Device(fingerprint.clone()));
    }
    Ok(())
}

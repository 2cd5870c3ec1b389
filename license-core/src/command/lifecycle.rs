//! Suspends, reinstates, renews, erases customers and revokes licenses, and rotates keys.

use serde_json::json;

use super::term::extend;
use super::{Draft, RevokedSlots};
use crate::access::Erasure;
use crate::catalog::{DomainPolicy, PlanCatalog};
use crate::event::EventType;
use crate::key::{KeyDigest, SealedKey};
use crate::license::{Activation, License, LicenseState, Metadata};
use crate::validation::{Denial, plan_of};

pub(super) fn suspend(draft: &mut Draft) -> Result<(), Denial> {
    set_state(draft, LicenseState::Suspended, EventType::LicenseSuspended)
}

pub(super) fn reinstate(draft: &mut Draft) -> Result<(), Denial> {
    set_state(draft, LicenseState::Active, EventType::LicenseReinstated)
}

/// Revoking a revoked license is not a denial, so that callers can retry.
pub(super) fn revoke(draft: &mut Draft) {
    enter(draft, LicenseState::Revoked, EventType::LicenseRevoked);
}

fn set_state(draft: &mut Draft, state: LicenseState, event_type: EventType) -> Result<(), Denial> {
    refuse_revoked(draft)?;
    enter(draft, state, event_type);
    Ok(())
}

/// Sets the state and its reason. If the license already has the state, another reason replaces the reason.
fn enter(draft: &mut Draft, state: LicenseState, event_type: EventType) {
    let reason = draft.reason.clone().filter(|_| state != LicenseState::Active);
    if draft.license.state != state {
        draft.license.state = state;
        draft.license.state_reason = reason;
        draft.emit(event_type, json!({ "reason": draft.reason_json() }));
    } else if reason.is_some() && reason != draft.license.state_reason {
        draft.license.state_reason = reason;
        let data = json!({ "fields": ["state_reason"], "reason": draft.reason_json() });
        draft.emit(EventType::LicenseUpdated, data);
    }
}

/// Renews the license. A plan that has become perpetual makes the license perpetual.
pub(super) fn renew(draft: &mut Draft, plans: &PlanCatalog) -> Result<(), Denial> {
    refuse_revoked(draft)?;
    let plan = plan_of(&draft.license, plans)?;
    extend(&mut draft.license, plan, draft.now)?;
    let data = json!({ "expires_at": draft.license.expires_at });
    draft.emit(EventType::LicenseRenewed, data);
    Ok(())
}

/// Also applies to revoked licenses.
pub(super) fn erase_customer(draft: &mut Draft, erasure: &Erasure) {
    if draft.license.customer_email.as_ref() == Some(&erasure.email) {
        draft.license.customer_email = Some(erasure.pseudonym.clone());
        draft.license.customer_name = None;
        draft.license.metadata = Metadata::default();
        draft.license.state_reason = None;
        draft.license.blocks.remove_reasons();
        draft.erased = Some(erasure.clone());
        draft.emit(EventType::LicenseCustomerErased, json!({}));
    }
}

/// Replaces the key. With `release`, also frees the slots that holders of the key can take, and revokes all leases.
pub(super) fn rotate_key(
    draft: &mut Draft,
    activations: &[Activation],
    (digest, sealed): (KeyDigest, &SealedKey),
    release: bool,
    plans: &PlanCatalog,
) -> Result<(), Denial> {
    refuse_revoked(draft)?;
    draft.license.key_digest = digest;
    draft.license.sealed_key = sealed.clone();
    if release {
        let is_registered_only =
            plan_of(&draft.license, plans)?.domain_policy == DomainPolicy::RegisteredOnly;
        let License { domains_used, devices_used, .. } = &mut draft.license;
        *devices_used = 0;
        if !is_registered_only {
            // The wildcards, which only the vendor registers.
            *domains_used = activations.len() as u64;
        }
        draft.leases.revoked =
            Some(if is_registered_only { RevokedSlots::Devices } else { RevokedSlots::All });
    }
    draft.emit(EventType::LicenseKeyRotated, json!({ "released": release }));
    Ok(())
}

pub(super) fn refuse_revoked(draft: &Draft) -> Result<(), Denial> {
    if draft.license.state == LicenseState::Revoked { Err(Denial::Revoked) } else { Ok(()) }
}

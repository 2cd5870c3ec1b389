//! The rules that a claim on a license must pass.

use chrono::{DateTime, Utc};

use super::claim::Claim;
use super::denial::Denial;
use super::plan_of;
use super::snapshot::HeldSlots;
use crate::catalog::{DevicePolicy, DomainPolicy, Limit, Plan, PlanCatalog};
use crate::license::{ActivationKind, License, LicenseState, Slots};
use crate::limits;

/// Changes that make an admissible claim valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needed {
    /// A slot for the domain.
    pub(crate) domain: bool,
    /// A slot for the device.
    pub(crate) device: bool,
    /// Number of devices to evict.
    pub(crate) evicted: u32,
    /// The first activation of the license.
    pub(crate) first: bool,
}

/// Returns the changes that a claim needs to be valid, or the denial. Validations and the command that takes
/// slots both use this rule.
///
/// Denials are checked in this order: revoked, suspended, unknown plan, expired, domain, device.
pub(crate) fn assess(
    license: &License,
    plans: &PlanCatalog,
    held: HeldSlots,
    claim: &Claim,
    now: DateTime<Utc>,
) -> Result<Needed, Denial> {
    refuse_inactive(license)?;
    let plan = plan_of(license, plans)?;
    if let Some(since) = license.expires_at
        && license.is_past_grace(plan, now)
    {
        return Err(Denial::Expired { since });
    }
    let mut needed = Needed { first: license.activated_at.is_none(), ..Needed::default() };
    if let Some(domain) = &claim.domain
        && !held.domain
        && !(plan.exempt_hosts && domain.is_exempt())
    {
        if plan.domain_policy == DomainPolicy::RegisteredOnly {
            return Err(Denial::DomainNotAllowed { domain: domain.clone() });
        }
        let slots = license.slots(ActivationKind::Domain);
        if !slots.has_free() {
            return Err(Denial::DomainLimitReached { used: slots.used, limit: slots.limit });
        }
        needed.domain = true;
    }
    if claim.fingerprint.is_some() && !held.device {
        let slots = license.slots(ActivationKind::Device);
        let denied = Denial::DeviceLimitReached { used: slots.used, limit: slots.limit };
        needed.evicted = evicted(slots, plan).ok_or(denied)?;
        needed.device = true;
    }
    Ok(needed)
}

/// Denies revoked and suspended licenses. A revoked license needs no plan: the catalog may lack it.
pub(crate) fn refuse_inactive(license: &License) -> Result<(), Denial> {
    match license.state {
        LicenseState::Revoked => Err(Denial::Revoked),
        LicenseState::Suspended => Err(Denial::Suspended),
        LicenseState::Active => Ok(()),
    }
}

/// Returns the number of devices that a new device evicts, or `None` if the plan denies it. It is above one
/// only if the limit was lowered.
pub(crate) fn evicted(slots: Slots, plan: &Plan) -> Option<u32> {
    let Limit::AtMost(limit) = slots.limit else { return Some(0) };
    let surplus = (slots.used + 1).saturating_sub(limit.into());
    let admitted = match plan.device_policy {
        DevicePolicy::Deny => surplus == 0,
        DevicePolicy::EvictOldest => limit > 0 && surplus <= limits::EVICTIONS,
    };
    u32::try_from(surplus).ok().filter(|_| admitted)
}

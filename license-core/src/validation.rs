//! Validations: the claim, the rule that evaluates it, and the verdict.

mod bindings;
mod claim;
mod denial;
mod snapshot;
mod verdict;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::catalog::{DevicePolicy, DomainPolicy, Limit, Plan, PlanCatalog, PlanVersion};
use crate::license::{ActivationKind, License, LicenseState, Slots};
use crate::limits;

pub use claim::Claim;
pub use denial::{Denial, DenialCode};
pub use snapshot::{HeldSlots, LicenseSnapshot, without_key};
pub use verdict::{ValidLicense, Verdict};

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

/// The result of [`evaluate`].
#[derive(Clone, Debug, PartialEq)]
pub enum Evaluation {
    /// The verdict is final.
    Decided(Verdict),
    /// Valid once [`Command::Activate`](crate::command::Command::Activate) has taken the missing slots.
    NeedsActivation,
}

/// Evaluates a claim on a license at `now`. Pure.
///
/// # Errors
/// Returns [`Denial::PlanUnknown`] if the catalog lacks the plan of an active license.
pub fn evaluate(
    snapshot: &LicenseSnapshot,
    claim: &Claim,
    plans: &PlanCatalog,
    now: DateTime<Utc>,
) -> Result<Evaluation, Denial> {
    let license = snapshot.license();
    Ok(match assess(license, plans, snapshot.held(claim), claim, now) {
        Err(unknown @ Denial::PlanUnknown { .. }) => return Err(unknown),
        Err(denial) => Evaluation::Decided(Verdict::Denied(denial)),
        Ok(needed) if needed == Needed::default() => {
            let plan = Arc::clone(plan_of(license, plans)?);
            Evaluation::Decided(Verdict::Valid(ValidLicense { snapshot: snapshot.clone(), plan }))
        }
        Ok(_) => Evaluation::NeedsActivation,
    })
}

/// Returns the verdict after an activation, given the updated license.
///
/// # Errors
/// Returns [`Denial::PlanUnknown`] as [`evaluate`] does.
pub(crate) fn activated(license: Arc<License>, plans: &PlanCatalog) -> Result<Verdict, Denial> {
    let plan = Arc::clone(plan_of(&license, plans)?);
    // The verdict shows the license only, not its bindings.
    Ok(Verdict::Valid(ValidLicense { snapshot: LicenseSnapshot::new(license, []), plan }))
}

/// Returns the plan version of the license.
pub(crate) fn plan_of<'a>(license: &License, plans: &'a PlanCatalog) -> Result<&'a Arc<Plan>, Denial> {
    let License { plan, plan_version, .. } = license;
    plans.version(plan, *plan_version).ok_or_else(|| {
        let version = if *plan_version == 1 { String::new() } else { format!(" version {plan_version}") };
        plan_unknown(&format!("{plan}{version}"), plans)
    })
}

/// Returns the current version of a plan.
pub(crate) fn current_version<'a>(name: &str, plans: &'a PlanCatalog) -> Result<&'a PlanVersion, Denial> {
    plans.entry(name).map(|entry| entry.current()).ok_or_else(|| plan_unknown(name, plans))
}

/// Returns the current version of a plan that licenses can be sold with or moved to.
pub(crate) fn plan_for_sale<'a>(name: &str, plans: &'a PlanCatalog) -> Result<&'a PlanVersion, Denial> {
    let version = current_version(name, plans)?;
    if plans.entry(name).is_some_and(|entry| entry.is_available()) {
        Ok(version)
    } else {
        Err(Denial::PlanArchived { plan: name.to_owned(), plans: plans.available() })
    }
}

/// The denial that lists the plans.
fn plan_unknown(name: &str, plans: &PlanCatalog) -> Denial {
    Denial::PlanUnknown { plan: name.to_owned(), plans: plans.available() }
}

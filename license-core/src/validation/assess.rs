//! The rules that a claim on a license must pass.

use chrono::{DateTime, Utc};

use super::claim::Claim;
use super::denial::Denial;
use super::snapshot::HeldSlots;
use crate::catalog::{DevicePolicy, DomainPolicy, FeatureName, FeatureValue, Limit, Plan, RequiredClaim};
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

/// Returns the changes that a claim needs to be valid, or the denials of all rules that it fails. Validations
/// and the command that takes slots both use this rule.
///
/// The rules are checked in this order: product, revoked, suspended, expired, features, domain, device. If the
/// product or the revocation denies, no other rule is checked: the software must learn nothing about a license
/// of another product, and nothing brings a revoked license back. A missing `plan` is the denial of an active
/// license; other licenses do not need their plan, because the catalog may lack it.
pub(crate) fn assess(
    license: &License,
    plan: Result<&Plan, Denial>,
    held: HeldSlots,
    claim: &Claim,
    now: DateTime<Utc>,
) -> Result<Needed, Vec<Denial>> {
    product(license, plan.as_ref().ok().copied(), claim).map_err(|denial| vec![denial])?;
    let plan = match (refuse_inactive(license), plan) {
        (Err(Denial::Revoked), _) => return Err(vec![Denial::Revoked]),
        (Err(denial), Err(_)) | (Ok(()), Err(denial)) => return Err(vec![denial]),
        (_, Ok(plan)) => plan,
    };
    let mut denials = Denials(Vec::new());
    denials.check(refuse_inactive(license));
    denials.check(expired(license, plan, now));
    denials.check(features(license, plan, claim, now));
    let domain = denials.check(domain(license, plan, held, claim));
    let evicted = denials.check(device(license, plan, held, claim));
    if !denials.0.is_empty() {
        return Err(denials.0);
    }
    let first = claim.activate && license.activated_at.is_none();
    Ok(Needed { domain, device: evicted.is_some(), evicted: evicted.unwrap_or_default(), first })
}

/// The denials so far. Allocates only if a rule denies.
struct Denials(Vec<Denial>);

impl Denials {
    fn check<T: Default>(&mut self, rule: Result<T, Denial>) -> T {
        rule.unwrap_or_else(|denial| {
            self.0.push(denial);
            T::default()
        })
    }
}

/// Denies claims for another product, and those without one if the plan requires it.
fn product(license: &License, plan: Option<&Plan>, claim: &Claim) -> Result<(), Denial> {
    match &claim.product {
        Some(asked) if *asked == license.product => Ok(()),
        Some(asked) => Err(Denial::ProductMismatch { product: asked.clone() }),
        None if plan.is_some_and(|plan| plan.requires(RequiredClaim::Product)) => {
            Err(Denial::ProductRequired)
        }
        None => Ok(()),
    }
}

/// Denies revoked and suspended licenses. A revoked license needs no plan: the catalog may lack it.
pub(crate) fn refuse_inactive(license: &License) -> Result<(), Denial> {
    match license.state {
        LicenseState::Revoked => Err(Denial::Revoked),
        LicenseState::Suspended => Err(Denial::Suspended),
        LicenseState::Active => Ok(()),
    }
}

fn expired(license: &License, plan: &Plan, now: DateTime<Utc>) -> Result<(), Denial> {
    match license.expires_at {
        Some(since) if license.is_past_grace(plan, now) => Err(Denial::Expired { since }),
        _ => Ok(()),
    }
}

/// Denies claims for features that are absent or off, in the plan and its grants.
fn features(license: &License, plan: &Plan, claim: &Claim, now: DateTime<Utc>) -> Result<(), Denial> {
    let mut missing = Vec::new();
    for name in claim.features.iter().map(FeatureName::as_str) {
        let value = license.grants.value(name, now).or_else(|| plan.features.get(name));
        if !value.is_some_and(FeatureValue::is_on) && !missing.iter().any(|other| other == name) {
            missing.push(name.to_owned());
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Denial::FeatureMissing { features: missing }) }
}

/// Returns whether the claim needs a slot for its domain.
fn domain(license: &License, plan: &Plan, held: HeldSlots, claim: &Claim) -> Result<bool, Denial> {
    let Some(domain) = &claim.domain else {
        return if plan.requires(RequiredClaim::Domain) { Err(Denial::DomainRequired) } else { Ok(false) };
    };
    if held.domain || (plan.exempt_hosts && domain.is_exempt()) {
        return Ok(false);
    }
    if !claim.activate {
        return Err(Denial::DomainNotActivated { domain: domain.clone() });
    }
    if plan.domain_policy == DomainPolicy::RegisteredOnly {
        return Err(Denial::DomainNotAllowed { domain: domain.clone() });
    }
    let slots = license.slots(ActivationKind::Domain);
    if slots.has_free() {
        Ok(true)
    } else {
        Err(Denial::DomainLimitReached { used: slots.used, limit: slots.limit })
    }
}

/// Returns the number of devices to evict if the claim needs a slot for its device.
fn device(license: &License, plan: &Plan, held: HeldSlots, claim: &Claim) -> Result<Option<u32>, Denial> {
    if claim.fingerprint.is_none() {
        return if plan.requires(RequiredClaim::Device) { Err(Denial::DeviceRequired) } else { Ok(None) };
    }
    if held.device {
        return Ok(None);
    }
    if !claim.activate {
        return Err(Denial::DeviceNotActivated);
    }
    let slots = license.slots(ActivationKind::Device);
    let denied = Denial::DeviceLimitReached { used: slots.used, limit: slots.limit };
    evicted(slots, plan).ok_or(denied).map(Some)
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

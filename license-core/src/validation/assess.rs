//! The rules that a claim on a license must pass.

use chrono::{DateTime, Utc};

use super::claim::Claim;
use super::denial::Denial;
use super::snapshot::HeldSlots;
use crate::catalog::{DevicePolicy, DomainPolicy, FeatureName, FeatureValue, Limit, Plan, RequiredClaim};
use crate::domain::DomainName;
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
/// The rules are checked in this order: product, revoked, suspended, expired, version, features, domain, device.
/// A blocked domain or device is denied even if it holds a slot or needs none. If the
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
    denials.check(expired(license, plan, held, claim, now));
    denials.check(version(license, plan, claim));
    denials.check(features(license, plan, claim, now));
    let domain = denials.check(domain(license, plan, held, claim));
    let evicted = denials.check(device(license, plan, held, claim));
    if !denials.0.is_empty() {
        return Err(denials.0);
    }
    let first = claim.activate && (license.activated_at.is_none() || license.awaits_first_use());
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

/// Denies expired licenses. A plan may still allow old versions on the slots that they hold.
fn expired(
    license: &License,
    plan: &Plan,
    held: HeldSlots,
    claim: &Claim,
    now: DateTime<Utc>,
) -> Result<(), Denial> {
    match license.expires_at {
        Some(since) if license.is_past_grace(plan, now) => {
            let is_fallback = plan.covers_old_versions() && claim.released_at.is_some();
            let needs_slot = new_domain(plan, held, claim).is_some() || new_device(held, claim);
            if is_fallback && !needs_slot { Ok(()) } else { Err(Denial::Expired { since }) }
        }
        _ => Ok(()),
    }
}

/// Denies a version that was released after the updates window.
fn version(license: &License, plan: &Plan, claim: &Claim) -> Result<(), Denial> {
    match (plan.updates, license.updates_until, claim.released_at) {
        (Some(_), Some(until), Some(released_at)) if released_at > until => {
            Err(Denial::VersionNotCovered { until })
        }
        _ => Ok(()),
    }
}

/// Returns the domain of the claim if it needs a slot that it does not hold.
fn new_domain<'a>(plan: &Plan, held: HeldSlots, claim: &'a Claim) -> Option<&'a DomainName> {
    claim.domain.as_ref().filter(|domain| !held.domain && !plan.exempt_hosts.contains(domain))
}

/// Returns whether the claim needs a slot for its device that it does not hold.
fn new_device(held: HeldSlots, claim: &Claim) -> bool {
    claim.fingerprint.is_some() && !held.device
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
    if let Some(domain) = claim.domain.as_ref().filter(|domain| license.blocks.has_domain(domain)) {
        return Err(Denial::DomainBlocked { domain: domain.clone() });
    }
    if claim.domain.is_none() && plan.requires(RequiredClaim::Domain) {
        return Err(Denial::DomainRequired);
    }
    let Some(domain) = new_domain(plan, held, claim) else { return Ok(false) };
    if !claim.activate {
        return Err(Denial::DomainNotActivated { domain: domain.clone() });
    }
    if plan.domain_policy == DomainPolicy::RegisteredOnly {
        return Err(Denial::DomainNotAllowed { domain: domain.clone() });
    }
    if license.slots_with_over_limit(ActivationKind::Domain, plan).has_free() {
        return Ok(true);
    }
    let Slots { used, limit } = license.slots(ActivationKind::Domain);
    Err(Denial::DomainLimitReached { used, limit })
}

/// Returns the number of devices to evict if the claim needs a slot for its device.
fn device(license: &License, plan: &Plan, held: HeldSlots, claim: &Claim) -> Result<Option<u32>, Denial> {
    if claim.fingerprint.as_ref().is_some_and(|device| license.blocks.has_device(device)) {
        return Err(Denial::DeviceBlocked);
    }
    if claim.fingerprint.is_none() && plan.requires(RequiredClaim::Device) {
        return Err(Denial::DeviceRequired);
    }
    if !new_device(held, claim) {
        return Ok(None);
    }
    if !claim.activate {
        return Err(Denial::DeviceNotActivated);
    }
    let Slots { used, limit } = license.slots(ActivationKind::Device);
    evicted(license, plan)
        .ok_or(Denial::DeviceLimitReached { used, limit, held: 0, next_free_at: None })
        .map(Some)
}

/// Returns the number of devices that a new device evicts, or `None` if the plan denies it. It is above one
/// only if the limit was lowered. Slots beyond the limit are taken before a device is evicted.
pub(crate) fn evicted(license: &License, plan: &Plan) -> Option<u32> {
    let slots = license.slots_with_over_limit(ActivationKind::Device, plan);
    let Limit::AtMost(limit) = slots.limit else { return Some(0) };
    let surplus = (slots.used + 1).saturating_sub(limit.into());
    let admitted = match plan.device_policy {
        DevicePolicy::Deny => surplus == 0,
        DevicePolicy::EvictOldest => limit > 0 && surplus <= limits::EVICTIONS,
    };
    u32::try_from(surplus).ok().filter(|_| admitted)
}

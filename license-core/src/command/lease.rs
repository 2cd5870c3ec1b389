//! Issues leases, and takes them back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Draft;
use super::draft::{activation_json, lease_json};
use super::lifecycle::refuse_revoked;
use super::release::{find, find_holder};
use crate::catalog::{Limit, PlanCatalog};
use crate::domain::DomainName;
use crate::event::EventType;
use crate::license::{
    Activation, ActivationId, Binding, Fingerprint, LEASE_TOLERANCE, Lease, LeaseEnd, LeaseId, LeaseUsage,
    ReleaseCause, refresh_after,
};
use crate::signing::{SigningKeyId, end_of_license};
use crate::store::LEASE_USAGE_PERIOD;
use crate::validation::{Claim, Denial, plan_of};

/// The time by which `iat` and `nbf` are before the issue, for machines whose clock is behind.
const BACKDATE: i64 = 60;

/// A request for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLease {
    /// The claim of the software. It must have a fingerprint.
    pub claim: Claim,
    /// The wanted time in days; `None` is as long as the plan allows.
    pub days: Option<u32>,
    /// The nonce of the request code that the lease answers, if any.
    pub nonce: Option<String>,
    /// The key that will sign the claims.
    pub signer: LeaseSigner,
    /// The issuer in the claims.
    pub issuer: String,
}

/// The key that signs a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseSigner {
    /// A key of the database. It must be active, and is kept for as long as the lease is valid.
    Stored(SigningKeyId),
    /// The key of a [`TokenSigner`](crate::signing::TokenSigner), which the database does not have.
    Foreign(SigningKeyId),
}

impl LeaseSigner {
    /// Returns the id of the key.
    #[must_use]
    pub fn id(&self) -> &SigningKeyId {
        match self {
            Self::Stored(id) | Self::Foreign(id) => id,
        }
    }
}

/// A slot that a lease holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSlot {
    /// The activation.
    pub activation: ActivationId,
    /// The end of the hold.
    pub until: DateTime<Utc>,
    /// Whether the slot is freed at the end of the hold.
    pub is_returned: bool,
}

/// The slots that a rotation of the key frees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokedSlots {
    /// Those of all devices.
    Devices,
    /// Those of all devices, and of all domains except wildcards.
    All,
}

impl RevokedSlots {
    /// Returns whether the slot of this domain or device is freed.
    #[must_use]
    pub fn include(self, binding: &Binding) -> bool {
        match binding {
            Binding::Device(_) => true,
            Binding::Domain(domain) => self == Self::All && !domain.is_wildcard(),
        }
    }
}

/// The changes of leases of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseChanges {
    /// The lease to add.
    pub issued: Option<Lease>,
    /// The signing key that must be active at the commit, and the time until which it must be kept.
    pub kept_key: Option<(SigningKeyId, DateTime<Utc>)>,
    /// Slots of present activations that are held from now on.
    pub held: Vec<HeldSlot>,
    /// Leases that end.
    pub ended: Vec<(LeaseId, LeaseEnd)>,
    /// Slots to free. All leases of the license are revoked, also those that ended.
    ///
    /// A lease that was handed back is revoked too, so that it does not count as a lease of the day.
    pub revoked: Option<RevokedSlots>,
}

/// Issues a lease for a claim that holds its slots.
pub(super) fn issue(
    draft: &mut Draft,
    activations: &[Activation],
    request: &NewLease,
    plans: &PlanCatalog,
    usage: &LeaseUsage,
) -> Result<(), Denial> {
    let NewLease { claim, days, nonce, signer, issuer } = request;
    let (now, plan) = (draft.now, plan_of(&draft.license, plans)?);
    let fingerprint = claim.fingerprint.as_ref().ok_or(Denial::DeviceRequired)?;
    let offline_days = plan.offline_days.ok_or(Denial::OfflineNotAllowed)?;
    let license_end = end_of_license(&draft.license, Some(plan));
    let wanted = now + TimeDelta::days(days.unwrap_or(offline_days).min(offline_days).into());
    let end = license_end.map_or(wanted.timestamp(), |end| end.min(wanted.timestamp()));
    // Tokens have whole seconds. The end of a lease is always within the range of times.
    let expires_at = DateTime::from_timestamp(end, 0).unwrap_or(now);
    if expires_at <= now {
        let since = draft.license.expires_at.unwrap_or(expires_at);
        return Err(Denial::Expired { since });
    }

    let held = find_holder(activations, &Binding::Device(fingerprint.clone())).ok();
    let is_renewal = held.is_some_and(|held| held.is_held(now));
    if !is_renewal {
        refuse_beyond_limit(usage, plan.offline_limit(draft.license.max_devices))?;
    }
    let until = expires_at + LEASE_TOLERANCE;
    let Some(device) = hold(draft, activations, &Binding::Device(fingerprint.clone()), until) else {
        return Err(Denial::DeviceNotActivated);
    };
    let domain = claim.domain.clone().map(Binding::Domain);
    let domain = domain.and_then(|domain| hold(draft, activations, &domain, until)).map(|held| held.id);
    draft.license.leased_until = draft.license.leased_until.max(Some(until));

    let id = LeaseId::new(&draft.license.id, draft.license.last_event + 1);
    let data = json!({ "lease": lease_json(&id, expires_at), "activation": activation_json(&device) });
    draft.emit(EventType::LeaseIssued, data);
    let (license, seconds) = (&draft.license, now.timestamp());
    let claims = json!({
        "iss": issuer,
        "aud": license.product,
        "sub": license.id.as_str(),
        "jti": id.as_str(),
        "iat": seconds - BACKDATE,
        "nbf": seconds - BACKDATE,
        "exp": expires_at.timestamp(),
        "plan": license.plan,
        "features": *license.grants.applied_to(&plan.features, now),
        "dom": claim.domain.as_ref().map(DomainName::as_str),
        "fp": device_digest(&license.product, fingerprint),
        "lic_exp": license_end,
        "upd_until": license.updates_until.filter(|_| plan.updates.is_some()).map(|until| until.timestamp()),
        "ver": 1,
        "refresh_after": refresh_after(now, expires_at).timestamp(),
        "nonce": nonce,
    });
    let lease = Lease {
        id,
        license_id: license.id.clone(),
        device: device.id,
        domain,
        issued_at: now,
        expires_at,
        signing_key: signer.id().clone(),
        claims: claims.to_string(),
        is_renewal,
        ended: None,
    };
    if let LeaseSigner::Stored(key) = signer {
        draft.leases.kept_key = Some((key.clone(), lease.needs_key_until()));
    }
    draft.leases.issued = Some(lease);
    Ok(())
}

/// Hands back the open leases of the device of a lease.
pub(super) fn hand_back(
    draft: &mut Draft,
    activations: &[Activation],
    id: &LeaseId,
    plans: &PlanCatalog,
) -> Result<(), Denial> {
    refuse_revoked(draft)?;
    let lease = draft.open_leases.iter().find(|lease| lease.id == *id).ok_or(Denial::LeaseNotFound)?;
    let device = find(activations, &lease.device).map_err(|_| Denial::LeaseNotFound)?;
    if plan_of(&draft.license, plans)?.trust_release {
        draft.release(device, ReleaseCause::Returned);
        let now = draft.now;
        for domain in activations.iter().filter(|held| held.id != device.id && held.is_held(now)) {
            // Leases of other devices still hold it.
            let others = draft.open_leases.iter().filter(|lease| lease.is_of(&domain.id));
            let until = others.map(Lease::accepted_until).max().unwrap_or(now);
            draft.leases.held.push(HeldSlot { activation: domain.id.clone(), until, is_returned: false });
        }
        return Ok(());
    }
    draft.end_leases(device, LeaseEnd::Returned);
    if let Some(until) = device.held_until {
        draft.leases.held.push(HeldSlot { activation: device.id.clone(), until, is_returned: true });
    }
    Ok(())
}

/// Frees the slots of devices whose leases were handed back and have ended.
pub(super) fn release_returned(draft: &mut Draft, activations: &[Activation]) -> Result<(), Denial> {
    refuse_revoked(draft)?;
    let now = draft.now;
    let mut ended = activations.iter().filter(|held| held.is_returned && !held.is_held(now)).peekable();
    ended.peek().ok_or(Denial::ActivationNotFound)?;
    ended.for_each(|activation| draft.release(activation, ReleaseCause::Returned));
    Ok(())
}

fn refuse_beyond_limit(usage: &LeaseUsage, limit: Limit) -> Result<(), Denial> {
    let LeaseUsage { held, next_free_at, issued, first_issued_at } = *usage;
    let of_day =
        first_issued_at.map(|first| first + LEASE_USAGE_PERIOD).filter(|_| !limit.admits_one_more(issued));
    let of_slots = next_free_at.filter(|_| !limit.admits_one_more(held));
    if limit.admits_one_more(held) && limit.admits_one_more(issued) {
        return Ok(());
    }
    Err(Denial::OfflineLimitReached { held, limit, next_free_at: of_day.max(of_slots) })
}

/// Holds the slot of a domain or device, if it takes one. Returns its activation.
fn hold(
    draft: &mut Draft,
    activations: &[Activation],
    binding: &Binding,
    until: DateTime<Utc>,
) -> Option<Activation> {
    if let Some(added) = draft.added.iter_mut().find(|added| added.binding == *binding) {
        added.held_until = Some(until);
        return Some(added.clone());
    }
    let present = find_holder(activations, binding).ok()?;
    let until = present.held_until.map_or(until, |held| held.max(until));
    draft.leases.held.push(HeldSlot { activation: present.id.clone(), until, is_returned: false });
    Some(present.clone())
}

/// Returns the claim `fp`.
fn device_digest(product: &str, fingerprint: &Fingerprint) -> String {
    let mut hasher = Sha256::new();
    for text in ["license-device-v1", product, fingerprint.as_str().trim()] {
        // A text of 4 GiB or more does not occur.
        hasher.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        hasher.update(text);
    }
    URL_SAFE_NO_PAD.encode(hasher.finalize())
}

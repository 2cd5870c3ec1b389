//! The verdict of a validation, and the rule that decides it.

mod bindings;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activation::{ActivationKind, Binding, Fingerprint};
use crate::domain::DomainName;
use crate::key::SealedKey;
use crate::license::{License, LicenseState, Slots};
use crate::limits;
use crate::plan::{DevicePolicy, DomainPolicy, Features, Limit, Plan, PlanCatalog};
use crate::text_enum::text_enum;

use bindings::Bindings;

/// The reason why a rule denies a validation or a command. A denial is an outcome, not an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// The license was revoked.
    #[error("This license was revoked.")]
    Revoked,
    /// The license is suspended.
    #[error("This license is suspended.")]
    Suspended,
    /// The license and its grace period have expired.
    #[error("This license expired at {}.", .since.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))]
    Expired {
        /// The `expires_at` of the license.
        since: DateTime<Utc>,
    },
    /// No slot is free for another domain.
    #[error("{used} of {limit} domains are in use.")]
    DomainLimitReached {
        /// Slots in use.
        used: u64,
        /// The limit.
        limit: Limit,
    },
    /// The plan allows registered domains only, and this domain is not registered.
    #[error("The domain {domain} is not registered for this license.")]
    DomainNotAllowed {
        /// The denied domain.
        domain: DomainName,
    },
    /// No slot is free for another device.
    #[error("{used} of {limit} devices are in use.")]
    DeviceLimitReached {
        /// Slots in use.
        used: u64,
        /// The limit.
        limit: Limit,
    },
    /// The customer asked to free a slot, but the plan leaves that to the vendor.
    #[error("Only the vendor can free slots of this license.")]
    ReleaseNotAllowed,
    /// The customer asked to free the slot of a domain that only the vendor can register again.
    #[error("The domain {domain} was registered by the vendor; only the vendor can free its slot.")]
    DomainRegistered {
        /// The domain that holds the slot.
        domain: DomainName,
    },
    /// The command expected another version of the license.
    #[error("The license has changed: its version is now {version}.")]
    Stale {
        /// The current version.
        version: u64,
    },
    /// A perpetual license cannot be renewed.
    #[error("This license never expires; there is nothing to renew.")]
    Perpetual,
    /// The renewed license would expire after the last supported year.
    #[error("The license would expire after the year {}.", crate::limits::LAST_YEAR)]
    TooFar,
    /// The license has no such activation.
    #[error("The license has no such activation.")]
    ActivationNotFound,
    /// A listed domain needs no registration.
    #[error("{domain} is always allowed on this plan and takes no slot; leave it out of the list.")]
    DomainExempt {
        /// The exempt domain.
        domain: DomainName,
    },
    /// The license has more domains than a list may replace.
    #[error(
        "The license has {used} domains, more than the {} of one list; release them one by one.",
        crate::limits::DOMAINS_PER_REQUEST
    )]
    TooManyDomains {
        /// Domains of the license.
        used: u64,
    },
    /// The plan of the license, or the requested one, is not in the catalog.
    #[error("There is no plan {plan:?}.")]
    PlanUnknown {
        /// The name of the plan.
        plan: String,
    },
}

macro_rules! denial_codes {
    ($($denial:ident => $name:ident = $text:literal,)+) => {
        impl Denial {
            /// Returns the code of this denial.
            #[must_use]
            pub fn code(&self) -> DenialCode {
                match self { $(Self::$denial { .. } => DenialCode::$name,)+ }
            }
        }

        text_enum! {
            /// The stable code of a denial, as in JSON and in the history of validations.
            #[non_exhaustive]
            DenialCode { $(#[doc = concat!("The code of [`Denial::", stringify!($denial), "`].")] $name = $text,)+ }
        }
    };
}

denial_codes! {
    Revoked => LicenseRevoked = "LICENSE_REVOKED",
    Suspended => LicenseSuspended = "LICENSE_SUSPENDED",
    Expired => LicenseExpired = "LICENSE_EXPIRED",
    DomainLimitReached => DomainLimitReached = "DOMAIN_LIMIT_REACHED",
    DomainNotAllowed => DomainNotAllowed = "DOMAIN_NOT_ALLOWED",
    DeviceLimitReached => DeviceLimitReached = "DEVICE_LIMIT_REACHED",
    ReleaseNotAllowed => ReleaseNotAllowed = "RELEASE_NOT_ALLOWED",
    DomainRegistered => DomainRegistered = "DOMAIN_REGISTERED",
    Stale => LicenseStale = "LICENSE_STALE",
    Perpetual => LicensePerpetual = "LICENSE_PERPETUAL",
    TooFar => ExpiryTooFar = "EXPIRY_TOO_FAR",
    ActivationNotFound => ActivationNotFound = "ACTIVATION_NOT_FOUND",
    DomainExempt => DomainExempt = "DOMAIN_EXEMPT",
    TooManyDomains => TooManyDomains = "TOO_MANY_DOMAINS",
    PlanUnknown => PlanUnknown = "PLAN_UNKNOWN",
}

/// Where the licensed software claims to run. Both parts are optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The domain it serves.
    pub domain: Option<DomainName>,
    /// The device it runs on.
    pub fingerprint: Option<Fingerprint>,
}

impl Claim {
    /// Returns the claim for exactly this binding.
    #[must_use]
    pub fn of(binding: &Binding) -> Self {
        match binding {
            Binding::Domain(domain) => Self { domain: Some(domain.clone()), fingerprint: None },
            Binding::Device(fingerprint) => Self { domain: None, fingerprint: Some(fingerprint.clone()) },
        }
    }
}

/// The parts of a claim that already hold a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldSlots {
    /// An activation covers the domain of the claim.
    pub domain: bool,
    /// The device of the claim is activated.
    pub device: bool,
}

impl HeldSlots {
    /// Returns the slots that `claim` holds among these bindings.
    #[must_use]
    pub fn of<'a>(claim: &Claim, bindings: impl IntoIterator<Item = &'a Binding>) -> Self {
        let mut held = Self::default();
        for binding in bindings {
            match binding {
                Binding::Domain(registered) => {
                    held.domain |= claim.domain.as_ref().is_some_and(|domain| registered.covers(domain));
                }
                Binding::Device(device) => held.device |= claim.fingerprint.as_ref() == Some(device),
            }
        }
        held
    }
}

/// A license as read for one claim: all that a verdict needs, as of one moment. Cloning is cheap.
///
/// A license with inline bindings is one allocation, to save cache misses.
#[derive(Clone, Debug, PartialEq)]
pub struct LicenseSnapshot(Found);

#[derive(Clone, Debug, PartialEq)]
enum Found {
    Whole(Arc<Bound<License>>),
    /// Read for one claim. All claims on a license can share the license.
    Part(Arc<Bound<Arc<License>>>),
}

/// A license with its bindings.
#[derive(Clone, Debug, PartialEq)]
struct Bound<L> {
    license: L,
    bindings: Bindings,
}

impl LicenseSnapshot {
    /// Combines a license with its bindings: all of them if it [has inline
    /// bindings](License::has_inline_bindings), otherwise those that could cover the claim.
    #[must_use]
    pub fn new(license: Arc<License>, bindings: impl IntoIterator<Item = Binding>) -> Self {
        let license = without_key(license);
        let bindings = bindings.into_iter().collect();
        Self(if license.has_inline_bindings() {
            Found::Whole(Arc::new(Bound { license: Arc::unwrap_or_clone(license), bindings }))
        } else {
            Found::Part(Arc::new(Bound { license, bindings }))
        })
    }

    /// Returns the license, [without its key](without_key).
    #[must_use]
    pub fn license(&self) -> &License {
        match &self.0 {
            Found::Whole(whole) => &whole.license,
            Found::Part(part) => &part.license,
        }
    }

    /// Returns the bindings that were read, in no particular order.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.all_bindings().iter()
    }

    fn all_bindings(&self) -> &Bindings {
        match &self.0 {
            Found::Whole(whole) => &whole.bindings,
            Found::Part(part) => &part.bindings,
        }
    }

    /// Returns the estimated heap memory in bytes. It includes the license even if other claims share it.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        let counters = 2 * size_of::<usize>();
        let own = match &self.0 {
            Found::Whole(_) => counters + size_of::<Bound<License>>(),
            Found::Part(_) => 2 * counters + size_of::<Bound<Arc<License>>>() + size_of::<License>(),
        };
        let License { plan, customer_email, metadata, .. } = self.license();
        let texts = plan.capacity() + customer_email.as_str().len() + metadata.heap_size();
        own + texts + self.all_bindings().heap_size()
    }

    /// Shares the license of `other` if both are equal and were read for one claim each.
    #[must_use]
    pub fn sharing(self, other: &Self) -> Self {
        match (self.0, &other.0) {
            (Found::Part(part), Found::Part(other)) if part.license == other.license => {
                let Bound { bindings, .. } = Arc::unwrap_or_clone(part);
                Self(Found::Part(Arc::new(Bound { license: Arc::clone(&other.license), bindings })))
            }
            (own, _) => Self(own),
        }
    }

    /// Returns the nearest wildcard that covers the claimed domain, unless the domain itself is registered.
    #[must_use]
    pub fn covered_by(&self, claim: &Claim) -> Option<&DomainName> {
        let asked = claim.domain.as_ref()?;
        self.all_bindings().covering(asked).filter(|registered| *registered != asked)
    }

    /// Returns the slots that `claim` holds. Without inline bindings, it must be the claim of the read.
    #[must_use]
    pub fn held(&self, claim: &Claim) -> HeldSlots {
        let bindings = self.all_bindings();
        HeldSlots {
            domain: claim.domain.as_ref().is_some_and(|domain| bindings.covering(domain).is_some()),
            device: claim.fingerprint.as_ref().is_some_and(|device| bindings.has_device(device)),
        }
    }
}

/// Removes the sealed key, which no verdict needs, so that cached licenses are small and hold no keys.
#[must_use]
pub fn without_key(mut license: Arc<License>) -> Arc<License> {
    if license.sealed_key != SealedKey::default() {
        Arc::make_mut(&mut license).sealed_key = SealedKey::default();
    }
    license
}

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

/// Returns what a claim needs to be valid, or why it is denied. Both validations and the command that takes
/// slots use this rule.
///
/// Denials are checked in this order: revoked, suspended, expired, domain, device.
pub(crate) fn assess(
    license: &License,
    plan: &Plan,
    held: HeldSlots,
    claim: &Claim,
    now: DateTime<Utc>,
) -> Result<Needed, Denial> {
    match license.state {
        LicenseState::Revoked => return Err(Denial::Revoked),
        LicenseState::Suspended => return Err(Denial::Suspended),
        LicenseState::Active => {}
    }
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

/// The answer to a validation.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The software may run.
    Valid(ValidLicense),
    /// No license has this key.
    NotFound,
    /// The license exists, but a rule denies this use.
    Denied(Denial),
}

impl Verdict {
    /// Returns whether this is [`Verdict::Valid`].
    #[must_use]
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid(_))
    }
}

/// The license of a valid answer. Cloning is cheap.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidLicense {
    snapshot: LicenseSnapshot,
    plan: Arc<Plan>,
}

impl ValidLicense {
    /// Returns the license.
    #[must_use]
    pub fn license(&self) -> &License {
        self.snapshot.license()
    }

    /// Returns the name of the plan.
    #[must_use]
    pub fn plan(&self) -> &str {
        &self.plan.name
    }

    /// Returns the expiry, which is in the past during the grace period.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.license().expires_at
    }

    /// Returns the features of the plan.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.plan.features
    }
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
/// Returns [`Denial::PlanUnknown`] if the catalog lacks the plan of the license.
pub fn evaluate(
    snapshot: &LicenseSnapshot,
    claim: &Claim,
    plans: &PlanCatalog,
    now: DateTime<Utc>,
) -> Result<Evaluation, Denial> {
    let plan = plan_of(snapshot.license(), plans)?;
    Ok(match assess(snapshot.license(), plan, snapshot.held(claim), claim, now) {
        Err(denial) => Evaluation::Decided(Verdict::Denied(denial)),
        Ok(needed) if needed == Needed::default() => Evaluation::Decided(Verdict::Valid(ValidLicense {
            snapshot: snapshot.clone(),
            plan: Arc::clone(plan),
        })),
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

pub(crate) fn plan_of<'a>(license: &License, plans: &'a PlanCatalog) -> Result<&'a Arc<Plan>, Denial> {
    plans.get(&license.plan).ok_or_else(|| Denial::PlanUnknown { plan: license.plan.clone() })
}

//! The answer to a validation, and the one rule that finds it.

mod bindings;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activation::{ActivationKind, Binding, Fingerprint};
use crate::domain::DomainName;
use crate::key::SealedKey;
use crate::license::{License, LicenseState, Slots};
use crate::limits;
use crate::plan::{DevicePolicy, DomainPolicy, Features, Limit, Plan, PlanCatalog};

use bindings::Bindings;

/// Why not: a validation or a command that a rule refuses. Not an error; nothing is wrong with the machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// The license was revoked.
    #[error("This license was revoked.")]
    Revoked,
    /// The license is suspended.
    #[error("This license is suspended.")]
    Suspended,
    /// The license's time, and its grace, have passed.
    #[error("This license expired at {}.", .since.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))]
    Expired {
        /// Its `expires_at`.
        since: DateTime<Utc>,
    },
    /// No slot is free for one more domain.
    #[error("{used} of {limit} domains are in use.")]
    DomainLimitReached {
        /// Slots in use.
        used: u64,
        /// Slots there are.
        limit: Limit,
    },
    /// The plan admits registered domains only, and this is none.
    #[error("The domain {domain} is not registered for this license.")]
    DomainNotAllowed {
        /// The domain that asked.
        domain: DomainName,
    },
    /// No slot is free for one more device.
    #[error("{used} of {limit} devices are in use.")]
    DeviceLimitReached {
        /// Slots in use.
        used: u64,
        /// Slots there are.
        limit: Limit,
    },
    /// The customer asked to free a slot, and the plan leaves that to the vendor.
    #[error("Only the vendor frees slots of this license.")]
    ReleaseNotAllowed,
    /// The customer asked to free the slot of a domain that only the vendor can bind again.
    #[error("The domain {domain} was registered by the vendor, who alone can free its slot.")]
    DomainRegistered {
        /// The domain that holds the slot.
        domain: DomainName,
    },
    /// A command asked for a license as of another version.
    #[error("The license has changed since: its version is {version} now.")]
    Stale {
        /// The version it has.
        version: u64,
    },
    /// A renewal of a license that never expires.
    #[error("This license never expires; there is nothing to renew.")]
    Perpetual,
    /// A renewal past the last year that a time may name.
    #[error("The license would expire after the year {}.", crate::limits::LAST_YEAR)]
    TooFar,
    /// No such activation on the license.
    #[error("The license has no such activation.")]
    ActivationNotFound,
    /// A domain in a list needs no registration.
    #[error("{domain} is always allowed on this plan and takes no slot; leave it out of the list.")]
    DomainExempt {
        /// That domain.
        domain: DomainName,
    },
    /// A list of domains for a license that has more than a list may hold.
    #[error(
        "The license has {used} domains, more than the {} of one list; release them one by one.",
        crate::limits::DOMAINS_PER_REQUEST
    )]
    TooManyDomains {
        /// Domains it has.
        used: u64,
    },
    /// The license's plan, or the one asked for, is not in the catalog.
    #[error("There is no plan {plan:?}.")]
    PlanUnknown {
        /// Its name.
        plan: String,
    },
}

impl Denial {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> DenialCode {
        match self {
            Self::Revoked => DenialCode::LicenseRevoked,
            Self::Suspended => DenialCode::LicenseSuspended,
            Self::Expired { .. } => DenialCode::LicenseExpired,
            Self::DomainLimitReached { .. } => DenialCode::DomainLimitReached,
            Self::DomainNotAllowed { .. } => DenialCode::DomainNotAllowed,
            Self::DeviceLimitReached { .. } => DenialCode::DeviceLimitReached,
            Self::ReleaseNotAllowed => DenialCode::ReleaseNotAllowed,
            Self::DomainRegistered { .. } => DenialCode::DomainRegistered,
            Self::Stale { .. } => DenialCode::LicenseStale,
            Self::Perpetual => DenialCode::LicensePerpetual,
            Self::TooFar => DenialCode::ExpiryTooFar,
            Self::ActivationNotFound => DenialCode::ActivationNotFound,
            Self::DomainExempt { .. } => DenialCode::DomainExempt,
            Self::TooManyDomains { .. } => DenialCode::TooManyDomains,
            Self::PlanUnknown { .. } => DenialCode::PlanUnknown,
        }
    }
}

macro_rules! denial_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// The code of a denial, as it stands in JSON and in histories.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum DenialCode { $($(#[$doc])* $name,)+ }

        impl DenialCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

denial_codes! {
    /// Of [`Denial::Revoked`].
    LicenseRevoked = "LICENSE_REVOKED",
    /// Of [`Denial::Suspended`].
    LicenseSuspended = "LICENSE_SUSPENDED",
    /// Of [`Denial::Expired`].
    LicenseExpired = "LICENSE_EXPIRED",
    /// Of [`Denial::DomainLimitReached`].
    DomainLimitReached = "DOMAIN_LIMIT_REACHED",
    /// Of [`Denial::DomainNotAllowed`].
    DomainNotAllowed = "DOMAIN_NOT_ALLOWED",
    /// Of [`Denial::DeviceLimitReached`].
    DeviceLimitReached = "DEVICE_LIMIT_REACHED",
    /// Of [`Denial::ReleaseNotAllowed`].
    ReleaseNotAllowed = "RELEASE_NOT_ALLOWED",
    /// Of [`Denial::DomainRegistered`].
    DomainRegistered = "DOMAIN_REGISTERED",
    /// Of [`Denial::Stale`].
    LicenseStale = "LICENSE_STALE",
    /// Of [`Denial::Perpetual`].
    LicensePerpetual = "LICENSE_PERPETUAL",
    /// Of [`Denial::TooFar`].
    ExpiryTooFar = "EXPIRY_TOO_FAR",
    /// Of [`Denial::ActivationNotFound`].
    ActivationNotFound = "ACTIVATION_NOT_FOUND",
    /// Of [`Denial::DomainExempt`].
    DomainExempt = "DOMAIN_EXEMPT",
    /// Of [`Denial::TooManyDomains`].
    TooManyDomains = "TOO_MANY_DOMAINS",
    /// Of [`Denial::PlanUnknown`].
    PlanUnknown = "PLAN_UNKNOWN",
}

impl fmt::Display for DenialCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the licensed software says it runs. Both parts are optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The domain it serves.
    pub domain: Option<DomainName>,
    /// The device it runs on.
    pub fingerprint: Option<Fingerprint>,
}

impl Claim {
    /// The claim that this binding answers to.
    #[must_use]
    pub fn of(binding: &Binding) -> Self {
        match binding {
            Binding::Domain(domain) => Self { domain: Some(domain.clone()), fingerprint: None },
            Binding::Device(fingerprint) => Self { domain: None, fingerprint: Some(fingerprint.clone()) },
        }
    }
}

/// Which parts of a claim hold a slot already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The claim's domain is covered by an activation.
    pub domain: bool,
    /// The claim's device is activated.
    pub device: bool,
}

impl Held {
    /// What `claim` holds where these are the bindings that could cover it.
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

/// A license as one claim finds it: all that a verdict needs, read at one moment. Cloning is cheap.
///
/// Whole, it is in one piece: of many licenses in memory most are in no cache of the processor, which then waits for each piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing(Found);

#[derive(Clone, Debug, PartialEq)]
enum Found {
    Whole(Arc<Bound<License>>),
    /// What one claim asked for. All claims on a license can share it.
    Part(Arc<Bound<Arc<License>>>),
}

/// A license, and what is bound to it.
#[derive(Clone, Debug, PartialEq)]
struct Bound<L> {
    license: L,
    bindings: Bindings,
}

impl Standing {
    /// A license and its bindings: all of them if it [has them inline](License::has_inline_bindings), otherwise those that
    /// could cover the claim.
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

    /// The license, [without its key](without_key).
    #[must_use]
    pub fn license(&self) -> &License {
        match &self.0 {
            Found::Whole(whole) => &whole.license,
            Found::Part(part) => &part.license,
        }
    }

    /// The bindings that were read, in no particular order.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.all_bindings().iter()
    }

    fn all_bindings(&self) -> &Bindings {
        match &self.0 {
            Found::Whole(whole) => &whole.bindings,
            Found::Part(part) => &part.bindings,
        }
    }

    /// Estimated memory on the heap, in bytes. Includes the license even if other claims share it.
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

    /// The nearest registered wildcard that covers the claim's domain; `None` if the domain itself is registered.
    #[must_use]
    pub fn covered_by(&self, claim: &Claim) -> Option<&DomainName> {
        let asked = claim.domain.as_ref()?;
        self.all_bindings().covering(asked).filter(|registered| *registered != asked)
    }

    /// Which parts of `claim` hold a slot. If the license has no inline bindings, `claim` must be the one it was read for.
    #[must_use]
    pub fn held(&self, claim: &Claim) -> Held {
        let bindings = self.all_bindings();
        Held {
            domain: claim.domain.as_ref().is_some_and(|domain| bindings.covering(domain).is_some()),
            device: claim.fingerprint.as_ref().is_some_and(|device| bindings.has_device(device)),
        }
    }
}

/// The same license without its sealed key, which no verdict needs: what is remembered of many licenses shall take little room,
/// and hold no keys.
#[must_use]
pub fn without_key(mut license: Arc<License>) -> Arc<License> {
    if license.sealed_key != SealedKey::default() {
        Arc::make_mut(&mut license).sealed_key = SealedKey::default();
    }
    license
}

/// What an admissible claim still needs before it is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needed {
    /// A slot for its domain.
    pub(crate) domain: bool,
    /// A slot for its device.
    pub(crate) device: bool,
    /// Devices that lose theirs for it.
    pub(crate) evicted: u32,
    /// The license was never answered valid before.
    pub(crate) first: bool,
}

/// Whether a claim is admissible, and what it needs: the one rule of validation, for the verdict and for the command
/// that takes the slots alike. Order of denials: revoked, suspended, expired, domain, device.
pub(crate) fn assess(
    license: &License,
    plan: &Plan,
    held: Held,
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

/// How many devices lose their slots to a new one; `None`: it is denied. More than one only where the limit was lowered since.
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
    /// The license is known, and may not be used so.
    Denied(Denial),
}

impl Verdict {
    /// Whether it is [`Verdict::Valid`].
    #[must_use]
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid(_))
    }
}

/// What a valid answer tells. Shares what it shows; cloning is cheap.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidLicense {
    standing: Standing,
    plan: Arc<Plan>,
}

impl ValidLicense {
    /// The license.
    #[must_use]
    pub fn license(&self) -> &License {
        self.standing.license()
    }

    /// The name of its plan.
    #[must_use]
    pub fn plan(&self) -> &str {
        &self.plan.name
    }

    /// When it expires; in the past where the plan's grace still runs.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.license().expires_at
    }

    /// What the software may do.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.plan.features
    }
}

/// What [`judge`] finds.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// The verdict stands.
    Settled(Verdict),
    /// Valid once [`Command::Activate`](crate::command::Command::Activate) has taken the slots that are missing.
    NeedsActivation,
}

/// Judges one claim on one license at `now`. Pure; changes nothing.
///
/// # Errors
/// [`Denial::PlanUnknown`] when the catalog lacks the license's plan: a fault of the set-up, not an answer.
pub fn judge(
    standing: &Standing,
    claim: &Claim,
    plans: &PlanCatalog,
    now: DateTime<Utc>,
) -> Result<Judgement, Denial> {
    let plan = plan_of(standing.license(), plans)?;
    Ok(match assess(standing.license(), plan, standing.held(claim), claim, now) {
        Err(denial) => Judgement::Settled(Verdict::Denied(denial)),
        Ok(needed) if needed == Needed::default() => Judgement::Settled(Verdict::Valid(ValidLicense {
            standing: standing.clone(),
            plan: Arc::clone(plan),
        })),
        Ok(_) => Judgement::NeedsActivation,
    })
}

/// The verdict after the slots were taken: `license` as the command left it.
///
/// # Errors
/// As [`judge`].
pub(crate) fn activated(license: Arc<License>, plans: &PlanCatalog) -> Result<Verdict, Denial> {
    let plan = Arc::clone(plan_of(&license, plans)?);
    // Whoever has the answer sees the license only, not what is bound to it.
    Ok(Verdict::Valid(ValidLicense { standing: Standing::new(license, []), plan }))
}

pub(crate) fn plan_of<'a>(license: &License, plans: &'a PlanCatalog) -> Result<&'a Arc<Plan>, Denial> {
    plans.get(&license.plan).ok_or_else(|| Denial::PlanUnknown { plan: license.plan.clone() })
}

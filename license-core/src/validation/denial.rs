//! Reasons why a rule denies.

use chrono::{DateTime, Utc};

use crate::catalog::Limit;
use crate::domain::DomainName;
use crate::license::MetadataError;
use crate::limits;
use crate::text_enum::text_enum;

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
    /// A request names more domains than the license can have.
    #[error("{named} {} named, the limit is {limit}.", if *named == 1 { "domain is" } else { "domains are" })]
    DomainsOverLimit {
        /// Domains of the request.
        named: usize,
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
        /// Slots that leases hold.
        held: u64,
        /// The earliest time at which a held slot can be freed; `None` if none is held.
        next_free_at: Option<DateTime<Utc>>,
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
    /// The idempotency key was used for another request.
    #[error("This idempotency key was used for another request.")]
    KeyReused,
    /// A perpetual license cannot be renewed.
    #[error("This license never expires; there is nothing to renew.")]
    Perpetual,
    /// The renewed license would expire after the last supported year.
    #[error("The license would expire after the year {}.", limits::LAST_YEAR)]
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
        limits::DOMAINS_PER_REQUEST
    )]
    TooManyDomains {
        /// Domains of the license.
        used: u64,
    },
    /// The plan of the license, or the requested one, is not in the catalog.
    #[error("There is no plan {plan:?}. The plans are: {}.", .plans.join(", "))]
    PlanUnknown {
        /// The name of the plan.
        plan: String,
        /// The names of all plans.
        plans: Vec<String>,
    },
    /// The changed metadata would exceed a limit.
    #[error("The metadata would be invalid: {0}.")]
    Metadata(MetadataError),
    /// Another license has the external id.
    #[error("Another license has this external id.")]
    ExternalIdTaken,
    /// The term starts with the first use, so there is nothing to renew before it.
    #[error("The term of this license has not started: its first use starts it.")]
    TermNotStarted,
    /// The version of the software was released after the updates window of the license.
    #[error("This license covers versions released until {}.", .until.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))]
    VersionNotCovered {
        /// The `updates_until` of the license.
        until: DateTime<Utc>,
    },
    /// The license is for another product, which the denial does not name.
    #[error("This license is not for the product {product:?}.")]
    ProductMismatch {
        /// The product of the claim.
        product: String,
    },
    /// The plan requires that claims name their product.
    #[error("The license requires that the software names its product.")]
    ProductRequired,
    /// The plan requires that claims name a domain.
    #[error("The license requires that the software sends its domain.")]
    DomainRequired,
    /// The plan requires that claims have a fingerprint.
    #[error("The license requires that the software sends the fingerprint of its device.")]
    DeviceRequired,
    /// The license lacks features that the claim asks for.
    #[error("The license does not include {}.", .features.join(", "))]
    FeatureMissing {
        /// The names of the missing features.
        features: Vec<String>,
    },
    /// The claim may take no slot, and the domain holds none.
    #[error("The domain {domain} is not activated.")]
    DomainNotActivated {
        /// The domain of the claim.
        domain: DomainName,
    },
    /// The claim may take no slot, and the device holds none.
    #[error("This device is not activated.")]
    DeviceNotActivated,
    /// A new grant would have ended already.
    #[error("The end of a grant must be in the future, and {} is not.", .until.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))]
    GrantEnded {
        /// The end of the grant.
        until: DateTime<Utc>,
    },
    /// The license has no room for another grant.
    #[error("A license can have at most {} grants; remove one first.", limits::GRANTS)]
    GrantLimitReached,
    /// The license has no such grant.
    #[error("The license has no grant of this feature with this source.")]
    GrantNotFound,
    /// The domain is blocked, by its name or by a wildcard.
    #[error("The domain {domain} is blocked for this license.")]
    DomainBlocked {
        /// The denied domain.
        domain: DomainName,
    },
    /// The device is blocked.
    #[error("This device is blocked for this license.")]
    DeviceBlocked,
    /// The license has no such block.
    #[error("The license has no such block.")]
    BlockNotFound,
    /// The license has as many blocks as it can have.
    #[error(
        "The license has {} blocks, and can have no more; remove one, or suspend the license.",
        limits::BLOCKS
    )]
    TooManyBlocks,
    /// The requested plan is archived.
    #[error("The plan {plan:?} is archived. The available plans are: {}.", .plans.join(", "))]
    PlanArchived {
        /// The name of the plan.
        plan: String,
        /// The names of the plans that are not archived.
        plans: Vec<String>,
    },
    /// The requested plan is of another product. A license keeps its product.
    #[error(
        "This license is for the product {product:?}, and the plan {plan:?} is for {of:?}; issue another license."
    )]
    ProductDiffers {
        /// The product of the license.
        product: String,
        /// The name of the requested plan.
        plan: String,
        /// The product of the requested plan.
        of: String,
    },
    /// The plan is a trial that each customer can have once, and the license has no customer.
    #[error("Each customer can have this plan once; the license needs a customer_email.")]
    CustomerRequired,
    /// The device or the customer had a trial of the product.
    #[error("A trial of this product was used before.")]
    TrialUsed,
    /// The plan allows no leases.
    #[error("This license cannot be used offline.")]
    OfflineNotAllowed,
    /// The license can have no other lease at this time.
    #[error("{held} of {limit} devices hold leases, or as many got one in the last 24 hours.")]
    OfflineLimitReached {
        /// Devices that hold leases.
        held: u64,
        /// The limit.
        limit: Limit,
        /// The earliest time at which another device can get a lease.
        next_free_at: Option<DateTime<Utc>>,
    },
    /// A lease holds the slot, so that only the vendor can free it.
    #[error("A lease holds this slot until {}.", .until.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))]
    ActivationHeld {
        /// The end of the hold.
        until: DateTime<Utc>,
    },
    /// The license has no such lease, or it has ended.
    #[error("The license has no such lease, or it has ended.")]
    LeaseNotFound,
    /// The license has another key since it was found. The caller does not know the license any more.
    #[error("The license key was replaced.")]
    KeyReplaced,
    /// The key that signs the lease is not active. The command can be repeated with the active one.
    #[error("The signing key is not active.")]
    SigningKeyInactive,
}

macro_rules! denial_codes {
    ($($denial:ident $(| $other:ident)? => $name:ident = $text:literal,)+) => {
        impl Denial {
            /// Returns the code of this denial.
            #[must_use]
            pub fn code(&self) -> DenialCode {
                match self { $(Self::$denial { .. } $(| Self::$other { .. })? => DenialCode::$name,)+ }
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
    DomainLimitReached | DomainsOverLimit => DomainLimitReached = "DOMAIN_LIMIT_REACHED",
    DomainNotAllowed => DomainNotAllowed = "DOMAIN_NOT_ALLOWED",
    DeviceLimitReached => DeviceLimitReached = "DEVICE_LIMIT_REACHED",
    ReleaseNotAllowed => ReleaseNotAllowed = "RELEASE_NOT_ALLOWED",
    DomainRegistered => DomainRegistered = "DOMAIN_REGISTERED",
    Stale => LicenseStale = "LICENSE_STALE",
    KeyReused => IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED",
    Perpetual => LicensePerpetual = "LICENSE_PERPETUAL",
    TooFar => ExpiryTooFar = "EXPIRY_TOO_FAR",
    ActivationNotFound => ActivationNotFound = "ACTIVATION_NOT_FOUND",
    DomainExempt => DomainExempt = "DOMAIN_EXEMPT",
    TooManyDomains => TooManyDomains = "TOO_MANY_DOMAINS",
    PlanUnknown => PlanUnknown = "PLAN_UNKNOWN",
    Metadata => MetadataInvalid = "METADATA_INVALID",
    ExternalIdTaken => ExternalIdTaken = "EXTERNAL_ID_TAKEN",
    TermNotStarted => TermNotStarted = "TERM_NOT_STARTED",
    VersionNotCovered => VersionNotCovered = "VERSION_NOT_COVERED",
    ProductMismatch => ProductMismatch = "PRODUCT_MISMATCH",
    ProductRequired => ProductRequired = "PRODUCT_REQUIRED",
    DomainRequired => DomainRequired = "DOMAIN_REQUIRED",
    DeviceRequired => DeviceRequired = "DEVICE_REQUIRED",
    FeatureMissing => FeatureMissing = "FEATURE_MISSING",
    DomainNotActivated => DomainNotActivated = "DOMAIN_NOT_ACTIVATED",
    DeviceNotActivated => DeviceNotActivated = "DEVICE_NOT_ACTIVATED",
    GrantEnded => GrantEnded = "GRANT_ENDED",
    GrantLimitReached => GrantLimitReached = "GRANT_LIMIT_REACHED",
    GrantNotFound => GrantNotFound = "GRANT_NOT_FOUND",
    DomainBlocked => DomainBlocked = "DOMAIN_BLOCKED",
    DeviceBlocked => DeviceBlocked = "DEVICE_BLOCKED",
    BlockNotFound => BlockNotFound = "BLOCK_NOT_FOUND",
    TooManyBlocks => TooManyBlocks = "TOO_MANY_BLOCKS",
    PlanArchived => PlanArchived = "PLAN_ARCHIVED",
    ProductDiffers => ProductDiffers = "PRODUCT_DIFFERS",
    CustomerRequired => CustomerRequired = "CUSTOMER_REQUIRED",
    TrialUsed => TrialUsed = "TRIAL_USED",
    OfflineNotAllowed => OfflineNotAllowed = "OFFLINE_NOT_ALLOWED",
    OfflineLimitReached => OfflineLimitReached = "OFFLINE_LIMIT_REACHED",
    ActivationHeld => ActivationHeld = "ACTIVATION_HELD",
    LeaseNotFound => LeaseNotFound = "LEASE_NOT_FOUND",
    KeyReplaced => LicenseKeyReplaced = "LICENSE_KEY_REPLACED",
    SigningKeyInactive => SigningKeyInactive = "SIGNING_KEY_INACTIVE",
}

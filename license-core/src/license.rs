//! Licenses: stored fields, status, customer, activations.

mod activation;
mod block;
mod counters;
mod customer;
mod customer_name;
mod email_prefix;
mod expiry_notice;
mod external_id;
mod fingerprint;
mod grant;
mod grant_source;
mod label;
mod lease;
mod metadata;
mod numbered_id;
mod overrides;
mod reason;
mod status;
mod term;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::catalog::{Limit, Plan};
use crate::key::{KeyDigest, SealedKey};

pub use crate::id::{IdError, LicenseId};
pub use activation::{
    Activation, ActivationId, ActivationIdError, ActivationKind, ActivationTarget, Binding, ReleaseCause,
};
pub use block::{Block, BlockId, BlockIdError, Blocks, BlocksError};
pub use counters::Counters;
pub use customer::{CustomerEmail, EmailError};
pub use customer_name::{CustomerName, CustomerNameError};
pub use email_prefix::{EmailDomain, EmailPrefix, EmailPrefixError};
pub use expiry_notice::{ExpiryNotice, Reminders, RemindersError};
pub use external_id::{ExternalId, ExternalIdError};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use grant::{Grant, GrantError, GrantId, Grants, GrantsError};
pub use grant_source::{GrantSource, GrantSourceError};
pub use label::{Label, LabelError};
pub(crate) use lease::refresh_after;
pub use lease::{LEASE_TOLERANCE, Lease, LeaseEnd, LeaseId, LeaseIdError, LeaseUsage};
pub use metadata::{Metadata, MetadataError, MetadataPatch};
pub use overrides::Overrides;
pub use reason::{Reason, ReasonError};
pub use status::{Expiry, LicenseState, Status};
pub use term::LicenseTerm;

/// The part of a license that commands change. Validations change [`Counters`].
#[derive(Clone, Debug, PartialEq)]
pub struct License {
    /// The id.
    pub id: LicenseId,
    /// The digest that finds the license by its key.
    pub key_digest: KeyDigest,
    /// The key, to show to the owner.
    pub sealed_key: SealedKey,
    /// Active, suspended or revoked.
    pub state: LicenseState,
    /// The name of the product, which is that of the plan.
    pub product: String,
    /// The name of the plan.
    pub plan: String,
    /// The customer; `None` if the license has none yet.
    pub customer_email: Option<CustomerEmail>,
    /// Domain limit.
    pub max_domains: Limit,
    /// Device limit.
    pub max_devices: Limit,
    /// Domain slots in use.
    pub domains_used: u64,
    /// Device slots in use.
    pub devices_used: u64,
    /// Time of issue.
    pub created_at: DateTime<Utc>,
    /// Time of the first valid answer.
    pub activated_at: Option<DateTime<Utc>>,
    /// Expired from this time on; `None` is perpetual.
    pub expires_at: Option<DateTime<Utc>>,
    /// Notes of the vendor.
    pub metadata: Metadata,
    /// Starts at 1 and grows with every change of the license or its activations, but not with validations.
    pub version: u64,
    /// Number of the newest event, from 1. Events without a change do not change the version.
    pub last_event: u64,
    /// The last event about the end of the term.
    pub expiry_notice: Option<ExpiryNotice>,
    /// The name of the customer.
    pub customer_name: Option<CustomerName>,
    /// The id of the license in another system of the vendor. No other license has it.
    pub external_id: Option<ExternalId>,
    /// The day of the month on which terms in months and years end, or the last day of a shorter month.
    /// `None` if neither the license nor its updates window ends.
    pub anchor_day: Option<u8>,
    /// The start of the term.
    pub term: LicenseTerm,
    /// End of the updates window: versions that are released later are not covered. `None` if the plan has no
    /// such window, or if the term has not started.
    pub updates_until: Option<DateTime<Utc>>,
    /// Features beyond those of the plan.
    pub grants: Grants,
    /// The reason why the license is suspended or revoked, if one was given.
    pub state_reason: Option<Reason>,
    /// The blocked domains and devices.
    pub blocks: Blocks,
    /// The version of the plan that the license was sold with or moved to.
    pub plan_version: u32,
    /// The limits that are not those of the plan version.
    pub overrides: Overrides,
    /// No lease of the license is valid after this time; `None` if it had none.
    pub leased_until: Option<DateTime<Utc>>,
}

impl License {
    /// Returns the status at `now`. The license is expired from `expires_at` on.
    #[must_use]
    pub fn status(&self, now: DateTime<Utc>) -> Status {
        match self.state {
            LicenseState::Revoked => Status::Revoked,
            LicenseState::Suspended => Status::Suspended,
            LicenseState::Active if self.expires_at.is_some_and(|at| at <= now) => Status::Expired,
            LicenseState::Active => Status::Active,
        }
    }

    /// Returns the slots of one kind.
    #[must_use]
    pub fn slots(&self, kind: ActivationKind) -> Slots {
        match kind {
            ActivationKind::Domain => Slots { used: self.domains_used, limit: self.max_domains },
            ActivationKind::Device => Slots { used: self.devices_used, limit: self.max_devices },
        }
    }

    /// Returns whether slots of a kind are in use and none is free. A limit of 0 alone is not reached.
    #[must_use]
    pub fn is_at_limit(&self) -> bool {
        let kinds = [ActivationKind::Domain, ActivationKind::Device];
        kinds.into_iter().map(|kind| self.slots(kind)).any(|slots| slots.used > 0 && !slots.has_free())
    }

    /// Returns the slots of one kind with the hard limit: what the plan admits beyond the limit is part of
    /// it.
    #[must_use]
    pub fn slots_with_over_limit(&self, kind: ActivationKind, plan: &Plan) -> Slots {
        let more = match kind {
            ActivationKind::Domain => plan.over_limit.domains,
            ActivationKind::Device => plan.over_limit.devices,
        };
        let slots = self.slots(kind);
        let limit = slots.limit.as_number().map(|limit| limit.saturating_add(more));
        Slots { limit: limit.into(), ..slots }
    }

    /// Returns whether leases of the license can be valid at `now`.
    #[must_use]
    pub fn may_have_leases(&self, now: DateTime<Utc>) -> bool {
        self.leased_until.is_some_and(|until| until > now)
    }

    /// Returns whether more slots of one kind are in use than its limit.
    #[must_use]
    pub fn is_over_limit(&self) -> bool {
        [ActivationKind::Domain, ActivationKind::Device].into_iter().any(|kind| self.slots(kind).is_over())
    }

    /// Returns whether the license is read with all its bindings, because it has at most
    /// [`MAX_INLINE_BINDINGS`](crate::limits::MAX_INLINE_BINDINGS). Other licenses are read with the
    /// bindings that could cover the claim.
    #[must_use]
    pub fn has_inline_bindings(&self) -> bool {
        self.domains_used.saturating_add(self.devices_used) <= crate::limits::MAX_INLINE_BINDINGS
    }

    /// Returns whether `expires_at` and the grace period of the plan have passed at `now`.
    #[must_use]
    pub fn is_past_grace(&self, plan: &Plan, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|at| at.checked_add_signed(plan.grace()).is_some_and(|end| end <= now))
    }
}

/// A license was created or changed. Validations are no changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseChanged {
    /// The license.
    pub license_id: LicenseId,
    /// Digest of its key. A rotation is announced twice: for the old key and for the new one.
    pub key_digest: KeyDigest,
    /// Version after the change. A cached copy of this version or a later one is current.
    pub version: u64,
}

impl From<&License> for LicenseChanged {
    fn from(License { id, key_digest, version, .. }: &License) -> Self {
        Self { license_id: id.clone(), key_digest: *key_digest, version: *version }
    }
}

/// The slots of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Slots in use. They can exceed a limit that was lowered.
    pub used: u64,
    /// The limit.
    pub limit: Limit,
}

impl Slots {
    /// Returns whether a slot is free.
    #[must_use]
    pub fn has_free(self) -> bool {
        self.limit.admits_one_more(self.used)
    }

    /// Returns whether more slots are in use than the limit.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.limit.as_number().is_some_and(|limit| self.used > limit.into())
    }
}

/// A license with its counters and activations, as of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct LicenseDetail {
    /// The license.
    pub license: Arc<License>,
    /// The counters.
    pub counters: Counters,
    /// Activated domains, oldest first; at most
    /// [`limits::LISTED_ACTIVATIONS`](crate::limits::LISTED_ACTIVATIONS).
    pub domains: Vec<Activation>,
    /// Activated devices, oldest first, with the same maximum.
    pub devices: Vec<Activation>,
}

impl LicenseDetail {
    /// Combines a license with its first activations of each kind, at most `limit` of each.
    pub(crate) fn new<'a>(
        license: Arc<License>,
        counters: Counters,
        activations: impl Iterator<Item = &'a Activation>,
        limit: u32,
    ) -> Self {
        let mut detail = Self { license, counters, domains: Vec::new(), devices: Vec::new() };
        for activation in activations {
            let listed = match activation.binding {
                Binding::Domain(_) => &mut detail.domains,
                Binding::Device(_) => &mut detail.devices,
            };
            if listed.len() < limit as usize {
                listed.push(activation.clone());
            }
        }
        detail
    }
}

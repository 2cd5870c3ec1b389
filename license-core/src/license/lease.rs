//! Leases: signed permissions to run on a device without a network.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::activation::ActivationId;
use super::numbered_id::numbered_id;
use crate::id::LicenseId;
use crate::signing::SigningKeyId;
use crate::text_enum::text_enum;

/// The time after the end of a lease for which software still accepts it.
pub const LEASE_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

numbered_id! {
    /// The id of a lease, its claim `jti`: `lease_`, the license id's suffix, and its event number in at
    /// least ten digits.
    LeaseId = "lease_", LeaseIdError, "a lease id"
}

impl LeaseId {
    /// Returns the id of the license that the lease belongs to. Returns `None` if no lease can have this id.
    #[must_use]
    pub fn license_id(&self) -> Option<LicenseId> {
        let (suffix, _) = self.as_str().strip_prefix("lease_")?.rsplit_once('_')?;
        LicenseId::from_suffix(suffix).filter(|license| self.number_of(license).is_some())
    }
}

text_enum! {
    /// The reason why a lease ended before its time. Software that does not know of it accepts the lease
    /// until then.
    LeaseEnd {
        /// The vendor revoked it, or freed its slot.
        Revoked = "revoked",
        /// The customer handed it back.
        Returned = "returned",
    }
}

/// A lease: a signed permission to run on one device until a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The id.
    pub id: LeaseId,
    /// The license.
    pub license_id: LicenseId,
    /// The activation of the device.
    pub device: ActivationId,
    /// The activation of the domain, if the lease is for a domain that takes a slot.
    pub domain: Option<ActivationId>,
    /// Time of the issue.
    pub issued_at: DateTime<Utc>,
    /// The end, in whole seconds.
    pub expires_at: DateTime<Utc>,
    /// The id of the key that signs the claims.
    pub signing_key: SigningKeyId,
    /// The claims as JSON: the text that is signed.
    pub claims: String,
    /// Whether the device held a lease when this one was issued.
    pub is_renewal: bool,
    /// Why and when the lease ended before its time.
    pub ended: Option<(LeaseEnd, DateTime<Utc>)>,
}

impl Lease {
    /// Returns the time after which no software accepts the lease.
    #[must_use]
    pub fn accepted_until(&self) -> DateTime<Utc> {
        self.expires_at + LEASE_TOLERANCE
    }

    /// Returns the time from which software asks for a new lease.
    #[must_use]
    pub fn refresh_after(&self) -> DateTime<Utc> {
        refresh_after(self.issued_at, self.expires_at)
    }

    /// Returns the time until which the signing key must be kept: [`accepted_until`](Self::accepted_until) in
    /// whole hours, so that few leases change the key.
    #[must_use]
    pub fn needs_key_until(&self) -> DateTime<Utc> {
        let hour = TimeDelta::hours(1);
        self.accepted_until().duration_trunc(hour).map_or(self.accepted_until(), |start| start + hour)
    }

    /// Returns whether the lease is neither over nor ended at `now`.
    #[must_use]
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.ended.is_none() && self.accepted_until() > now
    }

    /// Returns whether the lease is for this activation.
    #[must_use]
    pub fn is_of(&self, activation: &ActivationId) -> bool {
        self.device == *activation || self.domain.as_ref() == Some(activation)
    }
}

/// Returns the time from which software asks for a new lease, in whole seconds: half of the lease.
pub(crate) fn refresh_after(issued_at: DateTime<Utc>, expires_at: DateTime<Utc>) -> DateTime<Utc> {
    let middle = issued_at + (expires_at - issued_at) / 2;
    middle.duration_trunc(TimeDelta::seconds(1)).unwrap_or(middle)
}

/// How many devices of a license hold leases, and how many leases it got in the last day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseUsage {
    /// Devices whose slot a lease holds.
    pub held: u64,
    /// The earliest time at which a held slot of a device can be freed.
    pub next_free_at: Option<DateTime<Utc>>,
    /// Leases of the last 24 hours, without renewals and without those that the vendor revoked.
    pub issued: u64,
    /// The time of the first of them.
    pub first_issued_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_id_names_its_license() {
        let license = LicenseId::parse("lic_a1b2c3d4e5").unwrap();
        let id = LeaseId::new(&license, 17);
        assert_eq!(id.as_str(), "lease_a1b2c3d4e5_0000000017");
        assert_eq!(id.license_id(), Some(license));
        for text in ["lease_a1", "lease_a1_17", "lease_a1_0000000000", "lease_a1_x"] {
            assert_eq!(LeaseId::parse(text).unwrap().license_id(), None, "{text}");
        }
    }
}

//! The storage port of leases, and the leases of one license as a value.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::{Page, PageRequest, StoreError};
use crate::command::LeaseChanges;
use crate::license::{
    Activation, ActivationId, LEASE_TOLERANCE, Lease, LeaseEnd, LeaseId, LeaseUsage, LicenseId,
};

/// Leases of this time count as those of the day.
pub const LEASE_USAGE_PERIOD: TimeDelta = TimeDelta::hours(24);

/// Reads and prunes leases. [`LicenseStore::execute`](super::LicenseStore::execute) adds and ends them.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait LeaseStore: fmt::Debug + Send + Sync + 'static {
    /// Returns a lease.
    async fn find_lease(&self, id: &LeaseId) -> Result<Option<Lease>, StoreError>;

    /// Lists the leases of a license, oldest first.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if there is no such license.
    async fn list_leases(
        &self,
        license: &LicenseId,
        page: &PageRequest<LeaseId>,
    ) -> Result<Page<Lease, LeaseId>, StoreError>;

    /// Returns the leases of a license that software may still accept at `now`, the latest end first, at most
    /// `limit`.
    async fn outstanding_leases(
        &self,
        license: &LicenseId,
        which: &OutstandingLeases,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Lease>, StoreError>;

    /// Returns the ids of all leases of a product that software may still accept at `now`, but must not: they
    /// were revoked or handed back, or their license is suspended or revoked. Sorted.
    async fn revoked_leases(&self, product: &str, now: DateTime<Utc>) -> Result<Vec<LeaseId>, StoreError>;

    /// Finds licenses with slots that [`Command::ReleaseReturned`](crate::command::Command::ReleaseReturned)
    /// frees at `now`, at most `limit`. Revoked licenses are left out.
    async fn find_returned(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<LicenseId>, StoreError>;

    /// Removes leases that no software accepts at `before` and that were issued more than
    /// [`LEASE_USAGE_PERIOD`] before it, at most `limit`. Returns the number removed.
    async fn prune_leases(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;
}

/// The leases that [`LeaseStore::outstanding_leases`] returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutstandingLeases {
    /// All.
    All,
    /// Those that ended before their time.
    Ended,
    /// Those of a device.
    OfDevice(ActivationId),
}

impl OutstandingLeases {
    /// Returns whether the lease is one of them.
    #[must_use]
    pub fn include(&self, lease: &Lease) -> bool {
        match self {
            Self::All => true,
            Self::Ended => lease.ended.is_some(),
            Self::OfDevice(device) => lease.device == *device,
        }
    }
}

/// Returns whether [`LeaseStore::prune_leases`] removes the lease.
#[must_use]
pub fn is_prunable(lease: &Lease, before: DateTime<Utc>) -> bool {
    lease.expires_at + LEASE_TOLERANCE <= before && lease.issued_at + LEASE_USAGE_PERIOD <= before
}

/// The leases of one license.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LeaseRecords(BTreeMap<LeaseId, Lease>);

impl FromIterator<Lease> for LeaseRecords {
    fn from_iter<I: IntoIterator<Item = Lease>>(leases: I) -> Self {
        Self(leases.into_iter().map(|lease| (lease.id.clone(), lease)).collect())
    }
}

impl LeaseRecords {
    pub(super) fn get(&self, id: &LeaseId) -> Option<&Lease> {
        self.0.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.0.values()
    }

    pub(super) fn remove(&mut self, id: &LeaseId) {
        self.0.remove(id);
    }

    /// Returns the open leases of these activations.
    pub(super) fn open_of(&self, activations: &[Activation], now: DateTime<Utc>) -> Vec<Lease> {
        let is_of = |lease: &&Lease| activations.iter().any(|activation| lease.is_of(&activation.id));
        self.iter().filter(|lease| lease.is_open(now)).filter(is_of).cloned().collect()
    }

    /// Returns the usage at `now`, given the ends of all holds of devices.
    pub(super) fn usage(&self, holds: impl Iterator<Item = DateTime<Utc>>, now: DateTime<Utc>) -> LeaseUsage {
        let is_revoked = |lease: &Lease| matches!(lease.ended, Some((LeaseEnd::Revoked, _)));
        let counts = |lease: &&Lease| {
            lease.issued_at + LEASE_USAGE_PERIOD > now && !lease.is_renewal && !is_revoked(lease)
        };
        let issued: Vec<_> = self.iter().filter(counts).map(|lease| lease.issued_at).collect();
        let held: Vec<_> = holds.filter(|until| *until > now).collect();
        LeaseUsage {
            held: held.len() as u64,
            next_free_at: held.into_iter().min(),
            issued: issued.len() as u64,
            first_issued_at: issued.into_iter().min(),
        }
    }

    pub(super) fn apply(&mut self, changes: &LeaseChanges, at: DateTime<Utc>) {
        let LeaseChanges { issued, kept_key: _, held: _, ended, revoked } = changes;
        if revoked.is_some() {
            self.0.values_mut().for_each(|lease| lease.ended = Some((LeaseEnd::Revoked, at)));
        }
        for (id, end) in ended {
            if let Some(lease) = self.0.get_mut(id) {
                lease.ended = Some((*end, at));
            }
        }
        if let Some(lease) = issued {
            self.0.insert(lease.id.clone(), lease.clone());
        }
    }
}

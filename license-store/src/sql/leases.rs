//! Leases, written with the changes that issue and end them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::command::{HeldSlot, LeaseChanges, RevokedSlots};
use license_core::event::Event;
use license_core::license::{Activation, LEASE_TOLERANCE, Lease, LeaseEnd, LeaseId, LeaseUsage, LicenseId};
use license_core::store::{LEASE_USAGE_PERIOD, LeaseStore, OutstandingLeases, Page, PageRequest};

use super::prelude::*;
use super::rows::lease_row;
use super::store::SqlStore;

/// Leases that end after this time are accepted at `now`.
pub(super) fn accepted_since(now: DateTime<Utc>) -> i64 {
    (now - LEASE_TOLERANCE).timestamp_micros()
}

impl<D: Dialect> SqlDatabase<D> {
    /// Returns the open leases of these activations.
    pub(super) async fn read_open_leases(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        activations: &[Activation],
        now: DateTime<Utc>,
    ) -> Result<Vec<Lease>> {
        let ids: Vec<_> = activations.iter().map(|activation| activation.id.as_str()).collect();
        let values = values![id.as_str(), json!(ids).to_string(), accepted_since(now)];
        self.fetch(tx, &self.sql.leases.open, values).await?.all("leases", "", Reader::lease)
    }

    pub(super) async fn read_lease_usage(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        now: DateTime<Utc>,
    ) -> Result<LeaseUsage> {
        let since = (now - LEASE_USAGE_PERIOD).timestamp_micros();
        let values = values![id.as_str(), now.timestamp_micros(), since];
        let rows = self.fetch(tx, &self.sql.leases.usage, values).await?;
        Ok(rows.first("leases", id.as_str(), Reader::lease_usage)?.unwrap_or_default())
    }

    /// Keeps the signing key of a new lease until the lease is over. Returns false if it is not active.
    ///
    /// The key is changed before it is locked: two leases that locked it first could not both change it. A
    /// key that becomes active between the two statements is not kept yet; then the caller repeats the
    /// command.
    pub(super) async fn keep_signing_key(
        &self,
        tx: &mut Tx<D>,
        LeaseChanges { kept_key, .. }: &LeaseChanges,
    ) -> Result<bool> {
        let Some((key, until)) = kept_key else { return Ok(true) };
        let (key, until, sql) = (key.as_str(), until.timestamp_micros(), &self.sql.leases);
        self.fetch(tx, &sql.keep_key, values![key, until]).await?;
        Ok(!self.fetch(tx, &sql.lock_key, values![key, until]).await?.is_empty())
    }

    /// Frees the slots that a rotation of the key frees.
    pub(super) async fn release_all(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        slots: RevokedSlots,
    ) -> Result<()> {
        let sql = &self.sql.activations;
        self.fetch(tx, &sql.delete_devices, values![id.as_str()]).await?;
        if slots == RevokedSlots::All {
            self.fetch(tx, &sql.delete_hosts, values![id.as_str()]).await?;
        }
        Ok(())
    }

    pub(super) async fn hold_slots(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        LeaseChanges { held, .. }: &LeaseChanges,
    ) -> Result<()> {
        for HeldSlot { activation, until, is_returned } in held {
            let (until, returned) = (until.timestamp_micros(), i64::from(*is_returned));
            let values = values![id.as_str(), activation.as_str(), until, returned];
            self.fetch(tx, &self.sql.activations.hold, values).await?;
        }
        Ok(())
    }

    /// Writes the leases of a change. Its events say when it happened.
    pub(super) async fn write_leases(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        LeaseChanges { issued, kept_key: _, held: _, ended, revoked }: &LeaseChanges,
        events: &[Event],
    ) -> Result<()> {
        let (sql, Some(event)) = (&self.sql.leases, events.first()) else { return Ok(()) };
        let at = event.at.timestamp_micros();
        if revoked.is_some() {
            self.fetch(tx, &sql.end_all, values![id.as_str(), LeaseEnd::Revoked.as_str(), at]).await?;
        }
        for end in [LeaseEnd::Revoked, LeaseEnd::Returned] {
            let ids = ended.iter().filter(|(_, with)| *with == end).map(|(id, _)| id.as_str());
            let ids: Vec<_> = ids.collect();
            if !ids.is_empty() {
                let values = values![id.as_str(), json!(ids).to_string(), end.as_str(), at];
                self.fetch(tx, &sql.end, values).await?;
            }
        }
        if let Some(lease) = issued {
            self.fetch(tx, &sql.insert, values![json!([lease_row(lease)]).to_string()]).await?;
        }
        Ok(())
    }

    async fn try_prune_leases(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let issued = (before - LEASE_USAGE_PERIOD).timestamp_micros();
        let limit = i64::from(limit.min(D::STEP_ROWS));
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        let values = values![accepted_since(before), issued, limit];
        let pruned = self.fetch(&mut tx, &self.sql.leases.prune, values).await?.len();
        self.commit(tx).await?;
        Ok(pruned as u64)
    }
}

#[async_trait]
impl<D: Dialect> LeaseStore for SqlStore<D> {
    async fn find_lease(&self, id: &LeaseId) -> Result<Option<Lease>> {
        let Some(license) = id.license_id() else { return Ok(None) };
        let values = values![license.as_str(), id.as_str()];
        let rows = self.database.read(&self.database.sql.leases.find, values).await?;
        rows.first("leases", "", Reader::lease)
    }

    async fn list_leases(
        &self,
        license: &LicenseId,
        page: &PageRequest<LeaseId>,
    ) -> Result<Page<Lease, LeaseId>> {
        let database = &*self.database;
        let after = page.after.as_ref().map_or("", LeaseId::as_str);
        let read = async {
            let mut tx = database.begin_list().await?;
            database.check_exists(&mut tx, license).await?;
            let values = values![license.as_str(), after, i64::from(page.limit) + 1];
            database.fetch(&mut tx, &database.sql.leases.list, values).await
        };
        let items = database.limited(read).await?.all("leases", "", Reader::lease)?;
        Ok(Page::from_one_more(items, page.limit, |lease: &Lease| lease.id.clone()))
    }

    async fn outstanding_leases(
        &self,
        license: &LicenseId,
        which: &OutstandingLeases,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Lease>> {
        let sql = &self.database.sql.leases;
        let (sql, device) = match which {
            OutstandingLeases::All => (&sql.outstanding, ""),
            OutstandingLeases::Ended => (&sql.outstanding_ended, ""),
            OutstandingLeases::OfDevice(device) => (&sql.outstanding_of_device, device.as_str()),
        };
        let mut values = values![license.as_str(), accepted_since(now), i64::from(limit)].to_vec();
        values.extend((!device.is_empty()).then(|| device.into()));
        self.database.read(sql, &values).await?.all("leases", "", Reader::lease)
    }

    async fn revoked_leases(&self, product: &str, now: DateTime<Utc>) -> Result<Vec<LeaseId>> {
        let database = &*self.database;
        let read = async {
            let mut tx = database.begin_list().await?;
            let values = values![product, accepted_since(now)];
            database.fetch(&mut tx, &database.sql.leases.revoked, values).await
        };
        database.limited(read).await?.all("leases", "", Reader::lease_id)
    }

    async fn find_returned(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<LicenseId>> {
        let values = values![now.timestamp_micros(), i64::from(limit)];
        let rows = self.database.read(&self.database.sql.leases.returned, values).await?;
        rows.all("activations", "", |row| row.license_id("license_id"))
    }

    async fn prune_leases(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        retry(|| self.database.try_prune_leases(before, limit)).await
    }
}

//! Implements `LeaseStore`.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::command::LeaseChanges;
use license_core::license::{Lease, LeaseId, LicenseId, LicenseState};
use license_core::store::{LeaseStore, LicenseRecord, OutstandingLeases, Page, PageRequest, is_prunable};

use super::data::Data;
use super::store::MemoryStore;
use crate::Result;

impl Data {
    /// Keeps the signing key of a new lease until the lease is over. Returns false if the key is not active.
    pub(crate) fn keep_signing_key(&mut self, LeaseChanges { kept_key, .. }: &LeaseChanges) -> bool {
        let Some((key, until)) = kept_key else { return true };
        let kept = self.signing_keys.with_token_until(key, *until);
        kept.is_some_and(|set| {
            self.signing_keys = Arc::new(set);
            true
        })
    }

    fn records(&self) -> impl Iterator<Item = &LicenseRecord> {
        self.licenses.values().map(|entry| &entry.record)
    }
}

#[async_trait]
impl LeaseStore for MemoryStore {
    async fn find_lease(&self, id: &LeaseId) -> Result<Option<Lease>> {
        let data = self.data();
        let record = id.license_id().and_then(|license| data.record(&license).ok());
        Ok(record.and_then(|record| record.leases().find(|lease| lease.id == *id)).cloned())
    }

    async fn list_leases(
        &self,
        license: &LicenseId,
        page: &PageRequest<LeaseId>,
    ) -> Result<Page<Lease, LeaseId>> {
        let data = self.data();
        let leases = data.record(license)?.leases();
        let found = leases.filter(|lease| page.after.as_ref().is_none_or(|after| lease.id > *after));
        let items = found.take(page.limit as usize + 1).cloned().collect();
        Ok(Page::from_one_more(items, page.limit, |lease: &Lease| lease.id.clone()))
    }

    async fn outstanding_leases(
        &self,
        license: &LicenseId,
        which: &OutstandingLeases,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Lease>> {
        let data = self.data();
        let leases = data.record(license)?.leases().filter(|lease| lease.accepted_until() > now);
        let mut leases: Vec<_> = leases.filter(|lease| which.include(lease)).cloned().collect();
        leases.sort_by(|a, b| b.expires_at.cmp(&a.expires_at).then_with(|| a.id.cmp(&b.id)));
        leases.truncate(limit as usize);
        Ok(leases)
    }

    async fn revoked_leases(&self, product: &str, now: DateTime<Utc>) -> Result<Vec<LeaseId>> {
        let data = self.data();
        let records = data.records().filter(|record| record.license().product == product);
        let mut revoked = Vec::new();
        for record in records {
            let is_active = record.license().state == LicenseState::Active;
            let leases = record.leases().filter(|lease| lease.accepted_until() > now);
            let leases = leases.filter(|lease| lease.ended.is_some() || !is_active);
            revoked.extend(leases.map(|lease| lease.id.clone()));
        }
        revoked.sort_unstable();
        Ok(revoked)
    }

    async fn find_returned(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<LicenseId>> {
        let data = self.data();
        let returned = data
            .records()
            .filter(|record| record.license().state != LicenseState::Revoked && record.has_returned(now));
        Ok(returned.take(limit as usize).map(|record| record.license().id.clone()).collect())
    }

    async fn prune_leases(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let mut data = self.data();
        let prunable = |record: &LicenseRecord| -> Vec<_> {
            record.leases().filter(|lease| is_prunable(lease, before)).map(|lease| lease.id.clone()).collect()
        };
        let mut pruned = 0;
        for entry in data.licenses.values_mut() {
            for id in prunable(&entry.record).into_iter().take(limit as usize - pruned) {
                entry.record.remove_lease(&id);
                pruned += 1;
            }
        }
        Ok(pruned as u64)
    }
}

//! Implements `TransferStore`.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::AuditEntry;
use license_core::license::{ActivationId, Counters, Lease, LeaseId, License, LicenseId};
use license_core::store::{LicenseRecord, PageRequest, SettingChange, TransferSnapshot, TransferStore};
use license_core::transfer::{
    Holder, ImportBatch, Imported, ImportedLicense, ImportedRollup, RollupBatch, TrialClaimBatch,
};
use license_core::trial::{TrialClaim, TrialDigest};
use license_core::usage::{ActivationDetail, Rollup, RollupFilter, RollupKey};

use super::data::Data;
use super::store::MemoryStore;
use crate::Result;

impl Data {
    fn import_outcomes(&self, batch: &ImportBatch) -> Vec<Imported> {
        let holder = |license: &License| Holder {
            id: license.id.clone(),
            key_digest: license.key_digest,
            external_id: license.external_id.clone(),
        };
        let found = batch.licenses.iter().flat_map(|ImportedLicense { license, .. }| {
            let by_key = self.by_key.get(&license.key_digest);
            let by_external_id = license.external_id.as_ref().and_then(|one| self.by_external_id.get(one));
            [Some(&license.id), by_key, by_external_id]
                .into_iter()
                .flatten()
                .filter_map(|id| self.licenses.get(id))
        });
        let holders: Vec<_> = found.map(|entry| holder(entry.record.license())).collect();
        batch.settle(&holders)
    }

    fn rollup_outcomes(&self, rollups: &[Rollup]) -> Vec<ImportedRollup> {
        let outcome = |rollup: &Rollup| match () {
            () if !self.licenses.contains_key(&rollup.key.license_id) => ImportedRollup::NoLicense,
            () if self.usage.has(&rollup.key) => ImportedRollup::Existing,
            () if !self.usage.kept().has_rollups_of(rollup.key.day) => ImportedRollup::Pruned,
            () => ImportedRollup::New,
        };
        rollups.iter().map(outcome).collect()
    }

    pub(crate) fn import(&mut self, new: &ImportedLicense, at: DateTime<Utc>) {
        self.insert(LicenseRecord::imported(new, at));
        self.used_keys.trials.add(&new.trial_claims);
        self.events.append(new.events.iter().cloned());
    }
}

#[async_trait]
impl TransferStore for MemoryStore {
    async fn import(&self, batch: &ImportBatch) -> Result<Vec<Imported>> {
        let mut data = self.data();
        let settled = data.import_outcomes(batch);
        for new in batch.new_ones(&settled) {
            data.import(new, batch.at);
        }
        if let Some(audit) = batch.audit(&settled) {
            data.audit.add(&audit);
        }
        self.feed.notify_licenses(batch.notices(&settled));
        Ok(settled)
    }

    async fn dry_run(&self, batch: &ImportBatch) -> Result<Vec<Imported>> {
        Ok(self.data().import_outcomes(batch))
    }

    async fn import_rollups(&self, batch: &RollupBatch) -> Result<Vec<ImportedRollup>> {
        let mut data = self.current();
        let settled = data.rollup_outcomes(&batch.rollups);
        for (rollup, settled) in batch.rollups.iter().zip(&settled) {
            if *settled == ImportedRollup::New {
                data.usage.import(rollup);
            }
        }
        if let Some(audit) = batch.audit(&settled) {
            data.audit.add(&audit);
        }
        Ok(settled)
    }

    async fn dry_run_rollups(&self, rollups: &[Rollup]) -> Result<Vec<ImportedRollup>> {
        Ok(self.current().rollup_outcomes(rollups))
    }

    /// Copies all data, so that the snapshot does not change.
    async fn snapshot<'a>(&'a self) -> Result<Box<dyn TransferSnapshot + 'a>> {
        let data = self.current();
        let page = PageRequest { after: None, limit: u32::MAX };
        let mut copy = MemorySnapshot {
            rollups: data.rollups(&RollupFilter::default(), &page).items,
            trial_claims: data.used_keys.trials.iter().collect(),
            ..MemorySnapshot::default()
        };
        for entry in data.licenses.values() {
            let record = &entry.record;
            copy.licenses.push((Arc::clone(record.license()), *record.counters()));
            let id = &record.license().id;
            copy.activations.extend(record.activations().map(|detail| (id.clone(), detail.clone())));
            copy.leases.extend(record.leases().cloned());
        }
        Ok(Box::new(copy))
    }

    async fn declare_setting(&self, name: &str, value: &[u8], audit: Option<AuditEntry>) -> Result<Vec<u8>> {
        let data = &mut *self.data();
        if !data.settings.contains_key(name) {
            data.settings.insert(name.to_owned(), value.to_vec());
            if let Some(audit) = &audit {
                data.audit.add(audit);
            }
        }
        Ok(data.settings[name].clone())
    }

    async fn replace_setting(&self, SettingChange { name, from, to, audit }: &SettingChange) -> Result<bool> {
        let data = &mut *self.data();
        let Some(value) = data.settings.get_mut(name).filter(|value| *value == from) else {
            return Ok(false);
        };
        value.clone_from(to);
        data.audit.add(audit);
        Ok(true)
    }

    async fn import_trial_claims(&self, batch: &TrialClaimBatch) -> Result<u64> {
        let mut data = self.data();
        let new = data.used_keys.trials.add(&batch.claims);
        if let Some(audit) = batch.audit(new) {
            data.audit.add(&audit);
        }
        Ok(new)
    }

    async fn dry_run_trial_claims(&self, claims: &[TrialClaim]) -> Result<u64> {
        Ok(self.data().used_keys.trials.clone().add(claims))
    }

    async fn settings_with_prefix(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let data = self.data();
        let found = data.settings.iter().filter(|(name, _)| name.starts_with(prefix));
        let mut found: Vec<_> = found.map(|(name, value)| (name.clone(), value.clone())).collect();
        found.sort_unstable();
        Ok(found)
    }
}

/// A copy of the data, in order.
#[derive(Debug, Default)]
struct MemorySnapshot {
    licenses: Vec<(Arc<License>, Counters)>,
    activations: Vec<(LicenseId, ActivationDetail)>,
    rollups: Vec<Rollup>,
    trial_claims: Vec<TrialClaim>,
    leases: Vec<Lease>,
}

/// Returns the first `limit` sorted items for which `is_after` holds.
fn page<T: Clone>(items: &[T], limit: u32, is_after: impl Fn(&T) -> bool) -> Vec<T> {
    let start = items.partition_point(|item| !is_after(item));
    items[start..].iter().take(limit as usize).cloned().collect()
}

#[async_trait]
impl TransferSnapshot for MemorySnapshot {
    async fn licenses(
        &mut self,
        after: Option<&LicenseId>,
        limit: u32,
    ) -> Result<Vec<(Arc<License>, Counters)>> {
        Ok(page(&self.licenses, limit, |(license, _)| after.is_none_or(|after| license.id > *after)))
    }

    async fn activations(
        &mut self,
        after: Option<(&LicenseId, &ActivationId)>,
        limit: u32,
    ) -> Result<Vec<(LicenseId, ActivationDetail)>> {
        let is_after = |(license, detail): &(LicenseId, ActivationDetail)| {
            after.is_none_or(|after| (license, &detail.activation.id) > after)
        };
        Ok(page(&self.activations, limit, is_after))
    }

    async fn rollups(&mut self, after: Option<&RollupKey>, limit: u32) -> Result<Vec<Rollup>> {
        Ok(page(&self.rollups, limit, |rollup| after.is_none_or(|after| rollup.key > *after)))
    }

    async fn trial_claims(&mut self, after: Option<&TrialDigest>, limit: u32) -> Result<Vec<TrialClaim>> {
        Ok(page(&self.trial_claims, limit, |claim| after.is_none_or(|after| claim.digest > *after)))
    }

    async fn leases(
        &mut self,
        after: Option<(&LicenseId, &LeaseId)>,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Lease>> {
        self.leases.retain(|lease| lease.accepted_until() > now);
        Ok(page(&self.leases, limit, |lease| {
            after.is_none_or(|after| (&lease.license_id, &lease.id) > after)
        }))
    }
}

//! Many licenses at once, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::activation::ActivationId;
use license_core::license::{Counters, License, LicenseId};
use license_core::seen::ActivationDetail;
use license_core::store::{PageRequest, StoreError};
use license_core::transfer::{
    Holder, ImportBatch, Imported, ImportedLicense, ImportedRollup, Snapshot, TransferStore,
};
use license_core::usage::{Rollup, RollupFilter, RollupKey};

use super::{Data, Entry, MemoryStore};

impl Data {
    fn settle(&self, batch: &ImportBatch) -> Vec<Imported> {
        let holder = |license: &License| Holder { id: license.id.clone(), key_digest: license.key_digest };
        let found = batch.licenses.iter().flat_map(|ImportedLicense { license, .. }| {
            let by_key = self.by_key.get(&license.key_digest);
            [Some(&license.id), by_key].into_iter().flatten().filter_map(|id| self.licenses.get(id))
        });
        let holders: Vec<_> = found.map(|entry| holder(&entry.license)).collect();
        batch.settle(&holders)
    }

    fn settle_rollups(&self, rollups: &[Rollup]) -> Vec<ImportedRollup> {
        let settle = |rollup: &Rollup| match () {
            () if !self.licenses.contains_key(&rollup.key.license_id) => ImportedRollup::NoLicense,
            () if self.usage.has(&rollup.key) => ImportedRollup::There,
            () if !self.usage.kept().has_rollups_of(rollup.key.day) => ImportedRollup::Gone,
            () => ImportedRollup::New,
        };
        rollups.iter().map(settle).collect()
    }

    pub(super) fn import(&mut self, new: &ImportedLicense, at: DateTime<Utc>) {
        let ImportedLicense { license, counters, activations, events, id_given: _, key_given: _ } = new;
        let mut entry = Entry {
            license: Arc::new(license.clone()),
            counters: *counters,
            activations: BTreeMap::new(),
            domains: HashMap::new(),
            devices: HashMap::new(),
            validations: Vec::new(),
            imported_at: Some(at),
        };
        for ActivationDetail { activation, usage } in activations {
            entry.add(activation, *usage);
        }
        self.by_key.insert(license.key_digest, license.id.clone());
        self.licenses.insert(license.id.clone(), entry);
        self.outbox.append(events.iter().cloned());
    }
}

#[async_trait]
impl TransferStore for MemoryStore {
    async fn import(&self, batch: &ImportBatch) -> Result<Vec<Imported>, StoreError> {
        let mut data = self.data();
        let settled = data.settle(batch);
        for new in batch.new_ones(&settled) {
            data.import(new, batch.at);
        }
        if let Some(audit) = batch.audit(&settled) {
            data.access.add(&audit);
        }
        self.feed.tell(batch.notices(&settled));
        Ok(settled)
    }

    async fn foresee(&self, batch: &ImportBatch) -> Result<Vec<Imported>, StoreError> {
        Ok(self.data().settle(batch))
    }

    async fn import_rollups(&self, rollups: &[Rollup]) -> Result<Vec<ImportedRollup>, StoreError> {
        let mut data = self.data();
        let settled = data.settle_rollups(rollups);
        for (rollup, settled) in rollups.iter().zip(&settled) {
            if *settled == ImportedRollup::New {
                data.usage.import(rollup);
            }
        }
        Ok(settled)
    }

    async fn foresee_rollups(&self, rollups: &[Rollup]) -> Result<Vec<ImportedRollup>, StoreError> {
        Ok(self.data().settle_rollups(rollups))
    }

    /// Copies what is there, so that it stays as it is.
    async fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        let data = self.data();
        let page = PageRequest { after: None, limit: u32::MAX };
        let mut copy =
            Copied { rollups: data.rollups(&RollupFilter::default(), &page).items, ..Copied::default() };
        for entry in data.licenses.values() {
            copy.licenses.push((Arc::clone(&entry.license), entry.counters));
            let bound = entry.activations.values();
            copy.activations.extend(bound.map(|activation| (entry.license.id.clone(), activation.clone())));
        }
        Ok(Box::new(copy))
    }

    async fn kept_under(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let data = self.data();
        let found = data.kept.iter().filter(|(name, _)| name.starts_with(prefix));
        let mut found: Vec<_> = found.map(|(name, value)| (name.clone(), value.clone())).collect();
        found.sort_unstable();
        Ok(found)
    }
}

/// What there was, in order.
#[derive(Debug, Default)]
struct Copied {
    licenses: Vec<(Arc<License>, Counters)>,
    activations: Vec<(LicenseId, ActivationDetail)>,
    rollups: Vec<Rollup>,
}

/// The first `limit` of those behind `after`.
fn page<T: Clone>(items: &[T], limit: u32, behind: impl Fn(&T) -> bool) -> Vec<T> {
    // In order: what is behind is at the end.
    let start = items.partition_point(|item| !behind(item));
    items[start..].iter().take(limit as usize).cloned().collect()
}

#[async_trait]
impl Snapshot for Copied {
    async fn licenses(
        &mut self,
        after: Option<&LicenseId>,
        limit: u32,
    ) -> Result<Vec<(Arc<License>, Counters)>, StoreError> {
        Ok(page(&self.licenses, limit, |(license, _)| after.is_none_or(|after| license.id > *after)))
    }

    async fn activations(
        &mut self,
        after: Option<(&LicenseId, &ActivationId)>,
        limit: u32,
    ) -> Result<Vec<(LicenseId, ActivationDetail)>, StoreError> {
        let behind = |(license, detail): &(LicenseId, ActivationDetail)| {
            after.is_none_or(|after| (license, &detail.activation.id) > after)
        };
        Ok(page(&self.activations, limit, behind))
    }

    async fn rollups(&mut self, after: Option<&RollupKey>, limit: u32) -> Result<Vec<Rollup>, StoreError> {
        Ok(page(&self.rollups, limit, |rollup| after.is_none_or(|after| rollup.key > *after)))
    }
}

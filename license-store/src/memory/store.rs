//! A store in memory.

use std::collections::HashSet;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::command::{
    Command, CommandContext, CommandOutcome, Decision, Idempotency, NewLicense, UsedKey, decide,
};
use license_core::key::KeyDigest;
use license_core::license::{ActivationId, ActivationKind, License, LicenseDetail, LicenseId, LicenseState};
use license_core::store::{
    ActivationStore, ChangeStream, Created, DatabaseInfo, LicenseQuery, LicenseRecord, LicenseStore, Page,
    PageRequest, StoreError, StoreHealth,
};
use license_core::usage::{ActivationDetail, BatchId, IdleQuery, Validation};
use license_core::validation::{Claim, Denial, LicenseSnapshot};

use super::data::Data;
use crate::Result;
use crate::local_feed::LocalFeed;

/// Keeps everything in this process, behind one lock, for tests and demonstrations.
///
/// Clones share the data, which is lost when the last clone is dropped. Validations are folded when a reader
/// needs them, so the first report after many validations takes longer.
///
/// ```
/// use license_core::store::LicenseStore;
/// use license_store::memory::MemoryStore;
/// let store: std::sync::Arc<dyn LicenseStore> = std::sync::Arc::new(MemoryStore::new());
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    data: Arc<Mutex<Data>>,
    pub(super) feed: LocalFeed,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn data(&self) -> MutexGuard<'_, Data> {
        // Code under the lock panics only if memory runs out, and no write is left half done.
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the data with every recorded validation folded.
    pub(crate) fn current(&self) -> MutexGuard<'_, Data> {
        let mut data = self.data();
        data.catch_up();
        data
    }
}

#[async_trait]
impl LicenseStore for MemoryStore {
    async fn create_all(&self, new: &[NewLicense]) -> Result<Created> {
        let mut data = self.data();
        if let Some(created) = data.used_keys.created(new) {
            return Ok(created);
        }
        let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
        for License { id, key_digest, .. } in new.iter().map(|one| &one.license) {
            if data.licenses.contains_key(id) || !ids.insert(id) {
                return Err(StoreError::AlreadyExists { what: "the license id" });
            }
            if data.by_key.contains_key(key_digest) || !keys.insert(key_digest) {
                return Err(StoreError::AlreadyExists { what: "the license key" });
            }
        }
        let mut external_ids = HashSet::new();
        let is_taken = |one: &NewLicense| {
            let repeated = one.license.external_id.clone().is_some_and(|id| !external_ids.insert(id));
            repeated || data.has_external_id(&one.license)
        };
        if new.iter().any(is_taken) {
            return Ok(Created::ExternalIdTaken);
        }
        data.used_keys.add_created(new);
        for one in new {
            data.insert(LicenseRecord::new(one));
            data.audit.extend(&one.audit);
            data.events.append(one.events.iter().cloned());
        }
        self.feed.notify_licenses(new.iter().map(NewLicense::notice));
        Ok(Created::New)
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<CommandOutcome> {
        let mut data = self.current();
        let view = data.view(id, command, context)?;
        let before = view.license.key_digest;
        let Decision { outcome, changes } = decide(view, command, context);
        if let Some(changes) = changes {
            if data.has_external_id(&changes.license) {
                return Ok(CommandOutcome::Denied(Denial::ExternalIdTaken));
            }
            if !data.keep_signing_key(&changes.leases) {
                return Ok(CommandOutcome::Denied(Denial::SigningKeyInactive));
            }
            data.apply(id, &changes)?;
            self.feed.notify_licenses(changes.notices(&before));
        }
        Ok(outcome)
    }

    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<()> {
        let mut data = self.data();
        if let Some(BatchId { writer, number }) = batch {
            let last = data.last_batches.entry(writer).or_default();
            if number <= *last {
                return Ok(());
            }
            *last = number;
        }
        data.usage.record(validations);
        Ok(())
    }

    async fn find_by_key(&self, digest: &KeyDigest, claim: &Claim) -> Result<Option<LicenseSnapshot>> {
        let data = self.data();
        let entry = data.by_key.get(digest).and_then(|id| data.licenses.get(id));
        Ok(entry.map(|entry| entry.record.snapshot(claim)))
    }

    async fn get(&self, id: &LicenseId) -> Result<Option<LicenseDetail>> {
        Ok(self.current().licenses.get(id).map(|entry| entry.record.detail()))
    }

    async fn list(&self, query: &LicenseQuery) -> Result<Page<LicenseDetail, LicenseId>> {
        let data = self.current();
        let below = query.page.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let newest_first = data.licenses.range::<LicenseId, _>((Bound::Unbounded, below)).rev();
        Ok(LicenseRecord::page(newest_first.map(|(_, entry)| &entry.record), query))
    }

    async fn put_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>> {
        Ok(self.data().settings.entry(name.to_owned()).or_insert_with(|| value.to_vec()).clone())
    }

    async fn find_used_key(&self, asked: &Idempotency) -> Result<Option<UsedKey>> {
        Ok(self.data().used_keys.find(Some(asked)))
    }

    async fn prune_used_keys(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        Ok(self.data().used_keys.prune(before, limit))
    }

    fn changes(&self) -> Box<dyn ChangeStream> {
        self.feed.listen()
    }
}

#[async_trait]
impl ActivationStore for MemoryStore {
    async fn list_activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>> {
        let data = self.current();
        let found = data.record(id)?.activations();
        let found = found.filter(|detail| {
            kind.is_none_or(|kind| detail.activation.binding.kind() == kind)
                && page.after.as_ref().is_none_or(|after| detail.activation.id > *after)
        });
        let items = found.take(page.limit as usize + 1).cloned().collect();
        Ok(Page::from_one_more(items, page.limit, |detail: &ActivationDetail| detail.activation.id.clone()))
    }

    async fn find_idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>> {
        let IdleQuery { plan, version, before, now, limit } = *query;
        let data = self.current();
        let records = data.licenses.values().map(|entry| &entry.record);
        let mut idle: Vec<_> = records
            .filter(|record| record.license().plan == plan && record.license().plan_version == version)
            .filter(|record| record.license().state != LicenseState::Revoked)
            .filter_map(|record| Some((record.least_recently_seen_at(now)?, record.license().id.clone())))
            .filter(|(seen_at, _)| *seen_at < before)
            .collect();
        idle.sort();
        Ok(idle.into_iter().take(limit as usize).map(|(_, id)| id).collect())
    }
}

#[async_trait]
impl StoreHealth for MemoryStore {
    async fn database(&self) -> Result<Option<DatabaseInfo>> {
        Ok(Some(DatabaseInfo { kind: Some("memory".to_owned()), ..DatabaseInfo::default() }))
    }
}

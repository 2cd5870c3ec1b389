//! A store in memory: the reference implementation.

mod access;
mod devices;
mod outbox;
mod transfer;
mod usage;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::activation::{Activation, ActivationId, ActivationKind};
use license_core::change::{ChangeFeed, FeedState};
use license_core::client::Client;
use license_core::command::{
    Changes, Command, CommandContext, Decision, Idempotency, NewLicense, Outcome, Reads, View, decide,
};
use license_core::domain::DomainName;
use license_core::event::{Event, Subject};
use license_core::key::KeyDigest;
use license_core::license::{Counters, License, LicenseDetail, LicenseId};
use license_core::limits;
use license_core::place::Place;
use license_core::seen::{ActivationDetail, ActivationUsage, IdleQuery};
use license_core::store::{Created, LicenseFilter, LicenseStore, Page, PageRequest, StoreError};
use license_core::usage::{
    BatchId, RecorderId, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport,
    UsageRetention, Validation, ValidationCursor, ValidationOutcome,
};
use license_core::verdict::{Claim, Standing};

use crate::local_feed::LocalFeed;
use access::Access;
use outbox::OutboxData;
use usage::UsageData;

/// Keeps everything in this process, behind one lock; gone when it is dropped.
///
/// Clones share the data. For tests, demonstrations, and as the plainest statement of what a store does.
///
/// ```
/// use license_core::store::LicenseStore;
/// use license_store::memory::MemoryStore;
/// let store: std::sync::Arc<dyn LicenseStore> = std::sync::Arc::new(MemoryStore::new());
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    data: Arc<Mutex<Data>>,
    feed: LocalFeed,
}

#[derive(Debug, Default)]
struct Data {
    licenses: BTreeMap<LicenseId, Entry>,
    by_key: HashMap<KeyDigest, LicenseId>,
    idempotency: HashMap<String, ([u8; 32], LicenseId)>,
    kept: HashMap<String, Vec<u8>>,
    last_validation: u64,
    recorders: HashMap<RecorderId, u64>,
    access: Access,
    outbox: OutboxData,
    usage: UsageData,
}

#[derive(Debug)]
struct Entry {
    license: Arc<License>,
    counters: Counters,
    activations: BTreeMap<ActivationId, ActivationDetail>,
    domains: HashMap<String, ActivationId>,
    devices: HashMap<String, ActivationId>,
    /// In the order of recording: appending is the hot path, reports sort.
    validations: Vec<Recorded>,
    /// What was never seen counts as seen then.
    imported_at: Option<DateTime<Utc>>,
}

/// A validation, without what its license says.
#[derive(Debug)]
struct Recorded {
    cursor: ValidationCursor,
    outcome: ValidationOutcome,
    claim: Claim,
    covered_by: Option<DomainName>,
    place: Option<Place>,
    client: Option<Client>,
}

impl Recorded {
    fn validation(&self, id: &LicenseId) -> Validation {
        let Self { cursor, outcome, claim, covered_by, place, client } = self;
        Validation {
            license_id: id.clone(),
            at: cursor.at,
            outcome: *outcome,
            claim: claim.clone(),
            covered_by: covered_by.clone(),
            place: place.clone(),
            client: client.clone(),
        }
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        // A panic under the lock can only come from running out of memory; what is there was written whole.
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Data {
    fn created(&self, Idempotency { key, request }: &Idempotency) -> Option<Created> {
        let (before, first) = self.idempotency.get(key.as_str())?;
        Some(Created::again(request, before, first.clone()))
    }

    fn entry(&self, id: &LicenseId) -> Result<&Entry, StoreError> {
        self.licenses.get(id).ok_or_else(|| StoreError::NotFound { id: id.clone() })
    }

    /// What a decision looks at.
    fn view(&self, id: &LicenseId, command: &Command, context: &CommandContext) -> Result<View, StoreError> {
        let entry = self.entry(id)?;
        let license = (*entry.license).clone();
        let unseen = command.unseen(&license, context).map(|unseen| entry.unseen(&unseen));
        Ok(View { license, activations: entry.read(&command.reads()), unseen: unseen.unwrap_or_default() })
    }

    /// Writes a decision down.
    fn apply(&mut self, id: &LicenseId, changes: &Changes) -> Result<(), StoreError> {
        let Changes { license, added, released, labelled, events, audit, erased } = changes;
        let before = self.entry(id)?.license.key_digest;
        if license.key_digest != before {
            if self.by_key.contains_key(&license.key_digest) {
                return Err(StoreError::AlreadyExists { what: "the license key" });
            }
            self.by_key.remove(&before);
            self.by_key.insert(license.key_digest, id.clone());
        }
        let entry = self.entry_mut(id)?;
        entry.license = Arc::clone(license);
        for id in released {
            entry.release(id);
        }
        for activation in added {
            entry.add(activation, ActivationUsage::default());
        }
        if let Some((id, label)) = labelled {
            entry.label(id, label.clone());
        }
        if erased.is_some() {
            entry.forget_labels();
        }
        let events = events.complete(&entry.detail());
        self.outbox.append(events);
        if let Some(audit) = audit {
            self.access.add(audit);
        }
        if let Some(erasure) = erased {
            self.erase(id, erasure);
        }
        Ok(())
    }

    fn entry_mut(&mut self, id: &LicenseId) -> Result<&mut Entry, StoreError> {
        self.licenses.get_mut(id).ok_or_else(|| StoreError::NotFound { id: id.clone() })
    }
}

impl Entry {
    fn by_value(&mut self, kind: ActivationKind) -> &mut HashMap<String, ActivationId> {
        match kind {
            ActivationKind::Domain => &mut self.domains,
            ActivationKind::Device => &mut self.devices,
        }
    }

    fn read(&self, reads: &Reads) -> Vec<Activation> {
        match reads {
            Reads::Nothing => Vec::new(),
            Reads::One(id) => {
                self.activations.get(id).map(|held| held.activation.clone()).into_iter().collect()
            }
            Reads::Domains => self
                .of_kind(Some(ActivationKind::Domain))
                .take(limits::DOMAINS_PER_REQUEST)
                .cloned()
                .collect(),
            Reads::Claim { domains, fingerprint } => {
                let domains = domains.iter().filter_map(|text| self.domains.get(text));
                let device = fingerprint.iter().filter_map(|text| self.devices.get(text));
                let found = domains.chain(device).filter_map(|id| self.activations.get(id));
                found.map(|held| held.activation.clone()).collect()
            }
        }
    }

    fn of_kind(&self, kind: Option<ActivationKind>) -> impl Iterator<Item = &Activation> {
        self.activations
            .values()
            .map(|held| &held.activation)
            .filter(move |activation| kind.is_none_or(|kind| activation.binding.kind() == kind))
    }

    fn add(&mut self, activation: &Activation, usage: ActivationUsage) {
        let Activation { id, binding, created_at: _, label: _ } = activation;
        self.by_value(binding.kind()).insert(binding.value().to_owned(), id.clone());
        let held = ActivationDetail { activation: activation.clone(), usage };
        self.activations.insert(id.clone(), held);
    }

    fn release(&mut self, id: &ActivationId) {
        if let Some(ActivationDetail { activation: Activation { binding, .. }, .. }) =
            self.activations.remove(id)
        {
            self.by_value(binding.kind()).remove(binding.value());
        }
    }

    fn detail(&self) -> LicenseDetail {
        let listed =
            |kind| self.of_kind(Some(kind)).take(limits::LISTED_ACTIVATIONS as usize).cloned().collect();
        LicenseDetail {
            license: Arc::clone(&self.license),
            counters: self.counters,
            domains: listed(ActivationKind::Domain),
            devices: listed(ActivationKind::Device),
        }
    }
}

#[async_trait]
impl LicenseStore for MemoryStore {
    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        let NewLicense { license, activations, events, idempotency, audit } = new;
        let mut data = self.data();
        if let Some(created) = idempotency.as_ref().and_then(|asked| data.created(asked)) {
            return Ok(created);
        }
        if data.licenses.contains_key(&license.id) {
            return Err(StoreError::AlreadyExists { what: "the license id" });
        }
        if data.by_key.contains_key(&license.key_digest) {
            return Err(StoreError::AlreadyExists { what: "the license key" });
        }
        let mut entry = Entry {
            license: Arc::new(license.clone()),
            counters: Counters::default(),
            activations: BTreeMap::new(),
            domains: HashMap::new(),
            devices: HashMap::new(),
            validations: Vec::new(),
            imported_at: None,
        };
        for activation in activations {
            entry.add(activation, ActivationUsage::default());
        }
        data.by_key.insert(license.key_digest, license.id.clone());
        if let Some(Idempotency { key, request }) = idempotency {
            data.idempotency.insert(key.as_str().to_owned(), (*request, license.id.clone()));
        }
        data.licenses.insert(license.id.clone(), entry);
        if let Some(audit) = audit {
            data.access.add(audit);
        }
        data.outbox.append(events.iter().cloned());
        self.feed.tell([new.notice()]);
        Ok(Created::New)
    }

    async fn created(&self, idempotency: &Idempotency) -> Result<Option<Created>, StoreError> {
        Ok(self.data().created(idempotency))
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        let mut data = self.data();
        let view = data.view(id, command, context)?;
        let before = view.license.key_digest;
        let Decision { outcome, changes } = decide(view, command, context);
        if let Some(changes) = changes {
            data.apply(id, &changes)?;
            self.feed.tell(changes.notices(&before));
        }
        Ok(outcome)
    }

    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError> {
        let mut data = self.data();
        if let Some(BatchId { recorder, number }) = batch {
            let last = data.recorders.entry(recorder).or_default();
            if number <= *last {
                return Ok(());
            }
            *last = number;
        }
        data.record(validations);
        Ok(())
    }

    async fn license(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        Ok(self.data().licenses.get(id).map(Entry::detail))
    }

    async fn license_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        _: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        let data = self.data();
        let entry = data.by_key.get(digest).and_then(|id| data.licenses.get(id));
        Ok(entry.map(|entry| {
            let whole = entry.license.has_inline_bindings();
            let read = if whole {
                entry.of_kind(None).cloned().collect()
            } else {
                entry.read(&Reads::of_claim(claim))
            };
            Standing::new(Arc::clone(&entry.license), read.into_iter().map(|activation| activation.binding))
        }))
    }

    async fn licenses(
        &self,
        filter: &LicenseFilter,
        now: DateTime<Utc>,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
        let data = self.data();
        let below = page.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let found = data.licenses.range::<LicenseId, _>((Bound::Unbounded, below)).rev();
        let found =
            found.filter(|(_, entry)| filter.admits(&entry.license, now)).map(|(_, entry)| entry.detail());
        let items = found.take(page.limit as usize + 1).collect();
        Ok(Page::from_one_more(items, page.limit, |detail: &LicenseDetail| detail.license.id.clone()))
    }

    async fn activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, StoreError> {
        let data = self.data();
        let behind = page.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let found = data.entry(id)?.activations.range::<ActivationId, _>((behind, Bound::Unbounded));
        let found = found.map(|(_, held)| held);
        let found = found.filter(|held| kind.is_none_or(|kind| held.activation.binding.kind() == kind));
        let items = found.take(page.limit as usize + 1).cloned().collect();
        Ok(Page::from_one_more(items, page.limit, |held: &ActivationDetail| held.activation.id.clone()))
    }

    async fn idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError> {
        Ok(self.data().idle(query))
    }

    async fn events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        let data = self.data();
        Ok(data.outbox.of(&Subject::License(id.clone()), after).take(limit as usize).cloned().collect())
    }

    async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        self.data().usage(id, query)
    }

    async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        Ok(self.data().usage_of_all(query))
    }

    async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        Ok(self.data().rollups(filter, page))
    }

    async fn forget_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        Ok(self.data().forget_usage(*retention, now, limit))
    }

    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError> {
        let data = self.data();
        let plans: BTreeSet<_> = data.licenses.values().map(|entry| &entry.license.plan).collect();
        Ok(plans.into_iter().cloned().collect())
    }

    async fn keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(self.data().kept.entry(name.to_owned()).or_insert_with(|| value.to_vec()).clone())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn changes(&self) -> Box<dyn ChangeFeed> {
        self.feed.listen()
    }

    fn feed_state(&self) -> FeedState {
        FeedState::Listening
    }
}

#[cfg(all(test, feature = "conformance"))]
mod broken;

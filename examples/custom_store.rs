//! A store of one's own, whole, and the suite run against it: licenses in an ordered map behind a lock.
//!
//! Run it: `cargo run -p license-examples --example custom_store` (as tests: `cargo test -p license-examples`)
//!
//! A store for a database of yours has the same shape: find the row, lock it, ask `decide`, write, commit. It repeats
//! no rule. What stays for you is isolation: no other call may come between the reading and the commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::activation::{Activation, ActivationId, ActivationKind, Binding};
use license_core::change::{ChangeFeed, FeedState};
use license_core::command::{
    Changes, Command, CommandContext, Decision, Idempotency, NewLicense, Outcome, Reads, View, decide,
};
use license_core::event::Event;
use license_core::key::KeyDigest;
use license_core::license::{Counters, License, LicenseDetail, LicenseId, LicenseState};
use license_core::limits;
use license_core::seen::{ActivationDetail, ActivationUsage, IdleQuery, SeenActivation, Unseen};
use license_core::store::{Created, LicenseFilter, LicenseStore, Page, PageRequest, StoreError};
use license_core::usage::{
    BatchId, Fold, RecorderId, Rollup, RollupFilter, RollupKey, UsageKept, UsageOverview, UsageQuery,
    UsageReport, UsageRetention, UsageSum, UsageTally, Validation, ValidationCursor, ValidationOutcome, fold,
};
use license_core::verdict::{Claim, Standing};
use license_store::conformance::{CASES, Harness};
use license_store::local_feed::LocalFeed;

/// Everything in vectors, looked through from end to end: short to read, not fast.
#[derive(Clone, Debug, Default)]
struct ListStore(Arc<Mutex<Lists>>, LocalFeed);

#[derive(Debug, Default)]
struct Lists {
    licenses: BTreeMap<LicenseId, (Arc<License>, Counters)>,
    activations: Vec<(LicenseId, Activation)>,
    events: Vec<Event>,
    /// With their numbers.
    validations: Vec<(u64, Validation)>,
    last_validation: u64,
    rollups: BTreeMap<RollupKey, UsageSum>,
    /// Of rollups that are gone.
    earlier: BTreeMap<(LicenseId, ValidationOutcome), UsageSum>,
    usage_kept: UsageKept,
    idempotency: Vec<(Idempotency, LicenseId)>,
    kept: BTreeMap<String, Vec<u8>>,
    /// The last batch of each.
    recorders: HashMap<RecorderId, u64>,
}

impl ListStore {
    /// The lock: what a transaction is to a database.
    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    fn license(&self, id: &LicenseId) -> Result<&(Arc<License>, Counters), StoreError> {
        self.licenses.get(id).ok_or_else(|| StoreError::NotFound { id: id.clone() })
    }

    /// What one license was used for, or all: rollups of whole days, and single validations where the range cuts one.
    fn used(&self, id: Option<&LicenseId>, query: &UsageQuery) -> UsageOverview {
        let (sources, page) = (query.sources(), &query.page);
        let within = |(start, end): (i64, i64), value: i64| start <= value && value < end;
        let mut tally = UsageTally::new(query);
        for (key, sum) in &self.rollups {
            if within(sources.days, key.day.number()) && id.is_none_or(|id| *id == key.license_id) {
                tally.add(&Rollup { key: key.clone(), sum: *sum });
            }
        }
        let mut recent = Vec::new();
        for (sequence, validation) in &self.validations {
            let micros = validation.at.timestamp_micros();
            if id.is_some_and(|id| *id != validation.license_id) || !within(sources.range, micros) {
                continue;
            }
            if sources.records.iter().any(|range| within(*range, micros)) {
                tally.add(&Rollup::of(validation));
            }
            let cursor = ValidationCursor { at: validation.at, sequence: *sequence };
            if page.after.is_none_or(|after| cursor < after) {
                recent.push((cursor, validation.clone()));
            }
        }
        recent.sort_by_key(|(cursor, _)| std::cmp::Reverse(*cursor));
        recent.truncate(page.limit as usize + 1);
        let Page { items, next } =
            Page::from_one_more(recent, page.limit, |(cursor, _): &(ValidationCursor, _)| *cursor);
        let earlier = self
            .earlier
            .iter()
            .filter(|((license, _), _)| sources.earlier && id.is_none_or(|id| id == license))
            .map(|((_, outcome), sum)| (*outcome, *sum));
        let mut overview =
            tally.overview(earlier, |id| self.licenses.get(id).map(|(license, _)| license.plan.clone()));
        overview.usage.recent = Page { items: items.into_iter().map(|(_, item)| item).collect(), next };
        overview.usage.kept = self.usage_kept;
        overview
    }

    fn created(&self, asked: &Idempotency) -> Option<Created> {
        let (before, first) = self.idempotency.iter().find(|(before, _)| before.key == asked.key)?;
        Some(Created::again(&asked.request, &before.request, first.clone()))
    }

    fn key_is_taken(&self, digest: &KeyDigest) -> Result<(), StoreError> {
        let taken = self.licenses.values().any(|(license, _)| license.key_digest == *digest);
        if taken { Err(StoreError::AlreadyExists { what: "the license key" }) } else { Ok(()) }
    }

    fn activations(&self, id: &LicenseId, wanted: impl Fn(&Activation) -> bool) -> Vec<Activation> {
        let of_license =
            self.activations.iter().filter(|(license, _)| license == id).map(|(_, activation)| activation);
        let mut found: Vec<_> = of_license.filter(|activation| wanted(activation)).cloned().collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found
    }

    fn read(&self, id: &LicenseId, reads: &Reads) -> Vec<Activation> {
        match reads {
            Reads::Nothing => Vec::new(),
            Reads::One(wanted) => self.activations(id, |activation| activation.id == *wanted),
            Reads::Domains => {
                self.activations(id, |activation| activation.binding.kind() == ActivationKind::Domain)
            }
            Reads::Claim { domains, fingerprint } => {
                self.activations(id, |activation| match &activation.binding {
                    Binding::Domain(domain) => domains.iter().any(|text| text == domain.as_str()),
                    Binding::Device(device) => fingerprint.as_deref() == Some(device.as_str()),
                })
            }
        }
    }

    /// What validations say of an activation.
    fn seen(&self, id: &LicenseId, activation: Activation) -> ActivationDetail {
        let recorded = self.validations.iter().map(|(_, validation)| validation);
        let fold = fold(recorded.filter(|validation| validation.license_id == *id));
        let mut usage = ActivationUsage::default();
        if let Some(sightings) = fold.sightings.get(&(id.clone(), activation.binding.clone())) {
            usage.add(activation.created_at, sightings);
        }
        ActivationDetail { activation, usage }
    }

    fn devices(&self, id: &LicenseId) -> Vec<SeenActivation> {
        let devices = self.activations(id, |activation| activation.binding.kind() == ActivationKind::Device);
        let seen = devices.into_iter().map(|device| self.seen(id, device));
        seen.map(|held| SeenActivation { seen_at: held.seen_at(), activation: held.activation }).collect()
    }

    fn detail(&self, id: &LicenseId) -> Option<LicenseDetail> {
        let (license, counters) = self.licenses.get(id)?;
        let listed = |kind| {
            let mut found = self.activations(id, |activation| activation.binding.kind() == kind);
            found.truncate(limits::LISTED_ACTIVATIONS as usize);
            found
        };
        Some(LicenseDetail {
            license: Arc::clone(license),
            counters: *counters,
            domains: listed(ActivationKind::Domain),
            devices: listed(ActivationKind::Device),
        })
    }
}

#[async_trait]
impl LicenseStore for ListStore {
    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        // Who shall be able to tell who did what keeps `audit` as well, in the same step: see `license_core::audit`.
        let NewLicense { license, activations, events, idempotency, audit: _ } = new;
        let mut lists = self.lists();
        if let Some(created) = idempotency.as_ref().and_then(|asked| lists.created(asked)) {
            return Ok(created);
        }
        if lists.licenses.contains_key(&license.id) {
            return Err(StoreError::AlreadyExists { what: "the license id" });
        }
        lists.key_is_taken(&license.key_digest)?;
        lists.licenses.insert(license.id.clone(), (Arc::new(license.clone()), Counters::default()));
        lists
            .activations
            .extend(activations.iter().map(|activation| (license.id.clone(), activation.clone())));
        lists.events.extend_from_slice(events);
        lists.idempotency.extend(idempotency.iter().map(|asked| (asked.clone(), license.id.clone())));
        self.1.tell([new.notice()]);
        Ok(Created::New)
    }

    async fn created(&self, idempotency: &Idempotency) -> Result<Option<Created>, StoreError> {
        Ok(self.lists().created(idempotency))
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        let mut lists = self.lists();
        let license = (*lists.license(id)?.0).clone();
        let digest = license.key_digest;
        let unseen = command.unseen(&license, context).map(|unseen| unseen.among(lists.devices(id)));
        let activations = lists.read(id, &command.reads());
        let view = View { license, activations, unseen: unseen.unwrap_or_default() };
        let Decision { outcome, changes } = decide(view, command, context);
        if let Some(changes) = changes {
            let told = changes.notices(&digest);
            let Changes { license, added, released, labelled, events, audit: _, erased } = changes;
            if license.key_digest != digest {
                lists.key_is_taken(&license.key_digest)?;
            }
            if let Some((kept, _)) = lists.licenses.get_mut(id) {
                *kept = license;
            }
            lists.activations.retain(|(_, activation)| !released.contains(&activation.id));
            lists.activations.extend(added.into_iter().map(|activation| (id.clone(), activation)));
            for (_, activation) in lists.activations.iter_mut().filter(|(of, _)| of == id) {
                match &labelled {
                    Some((named, label)) if *named == activation.id => activation.label.clone_from(label),
                    _ if erased.is_some() => activation.label = None,
                    _ => {}
                }
            }
            // Events show the license as it is after the change.
            if let Some(detail) = lists.detail(id) {
                lists.events.extend(events.complete(&detail));
            }
            if let Some(erasure) = erased {
                for event in lists.events.iter_mut().filter(|event| event.license_id() == Some(id)) {
                    erasure.erase_from_event(&mut event.data);
                }
            }
            self.1.tell(told);
        }
        Ok(outcome)
    }

    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError> {
        let mut lists = self.lists();
        if let Some(BatchId { recorder, number }) = batch {
            let last = lists.recorders.entry(recorder).or_default();
            if number <= *last {
                return Ok(());
            }
            *last = number;
        }
        let known: Vec<_> = validations
            .iter()
            .filter(|validation| lists.licenses.contains_key(&validation.license_id))
            .collect();
        let Fold { rollups, counters, .. } = fold(known.iter().copied());
        for (key, sum) in rollups {
            lists.rollups.entry(key).and_modify(|sums| sums.add(&sum)).or_insert(sum);
        }
        for (id, counted) in counters {
            if let Some((_, counters)) = lists.licenses.get_mut(&id) {
                counters.add(&counted);
            }
        }
        for validation in known {
            lists.last_validation += 1;
            let sequence = lists.last_validation;
            lists.validations.push((sequence, validation.clone()));
        }
        Ok(())
    }

    async fn license(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        Ok(self.lists().detail(id))
    }

    async fn license_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        _: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        let lists = self.lists();
        let found = lists.licenses.values().find(|(license, _)| license.key_digest == *digest);
        Ok(found.map(|(license, _)| {
            let activations = if license.has_inline_bindings() {
                lists.activations(&license.id, |_| true)
            } else {
                lists.read(&license.id, &Reads::of_claim(claim))
            };
            Standing::new(Arc::clone(license), activations.into_iter().map(|activation| activation.binding))
        }))
    }

    async fn licenses(
        &self,
        filter: &LicenseFilter,
        now: DateTime<Utc>,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
        let lists = self.lists();
        let below =
            lists.licenses.iter().rev().filter(|(id, _)| page.after.as_ref().is_none_or(|after| *id < after));
        let passing = below.filter(|(_, (license, _))| filter.admits(license, now));
        let items = passing.filter_map(|(id, _)| lists.detail(id)).take(page.limit as usize + 1).collect();
        Ok(Page::from_one_more(items, page.limit, |detail: &LicenseDetail| detail.license.id.clone()))
    }

    async fn activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, StoreError> {
        let lists = self.lists();
        lists.license(id)?;
        let mut items = lists.activations(id, |activation| {
            kind.is_none_or(|kind| activation.binding.kind() == kind)
                && page.after.as_ref().is_none_or(|after| activation.id > *after)
        });
        items.truncate(page.limit as usize + 1);
        let items = items.into_iter().map(|activation| lists.seen(id, activation)).collect();
        Ok(Page::from_one_more(items, page.limit, |held: &ActivationDetail| held.activation.id.clone()))
    }

    async fn idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError> {
        let lists = self.lists();
        let mut idle = Vec::new();
        for (id, (license, _)) in &lists.licenses {
            if license.plan == query.plan && license.state != LicenseState::Revoked {
                let longest = Unseen { before: Some(query.before), most: 1 }.among(lists.devices(id));
                idle.extend(longest.into_iter().map(|seen| (seen.seen_at, id.clone())));
            }
        }
        idle.sort();
        Ok(idle.into_iter().take(query.limit as usize).map(|(_, id)| id).collect())
    }

    async fn events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        let lists = self.lists();
        let found =
            lists.events.iter().filter(|event| event.license_id() == Some(id) && event.sequence > after);
        Ok(found.take(limit as usize).cloned().collect())
    }

    async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        let lists = self.lists();
        lists.license(id)?;
        Ok(lists.used(Some(id), query).usage)
    }

    async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        Ok(self.lists().used(None, query))
    }

    async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        let lists = self.lists();
        let found = lists
            .rollups
            .iter()
            .filter(|(key, _)| filter.admits(key) && page.after.as_ref().is_none_or(|after| *key > after));
        let items = found.take(page.limit as usize + 1);
        let items = items.map(|(key, sum)| Rollup { key: key.clone(), sum: *sum }).collect();
        Ok(Page::from_one_more(items, page.limit, |rollup: &Rollup| rollup.key.clone()))
    }

    async fn forget_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let (keep, mut lists) = (retention.at(now), self.lists());
        lists.usage_kept = lists.usage_kept.and(keep);
        let mut forgotten = 0;
        lists.validations.retain(|(_, validation)| {
            let goes = keep.records_from.is_some_and(|from| validation.at < from) && forgotten < limit;
            forgotten += u32::from(goes);
            !goes
        });
        let old = lists.rollups.keys().filter(|key| keep.rollups_from.is_some_and(|from| key.day < from));
        for key in old.take(limit as usize).cloned().collect::<Vec<_>>() {
            if let Some(sum) = lists.rollups.remove(&key) {
                let total = lists.earlier.entry((key.license_id, key.outcome));
                total.and_modify(|sums| sums.add(&sum)).or_insert(sum);
                forgotten += 1;
            }
        }
        Ok(forgotten.into())
    }

    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError> {
        let mut plans: Vec<_> =
            self.lists().licenses.values().map(|(license, _)| license.plan.clone()).collect();
        plans.sort();
        plans.dedup();
        Ok(plans)
    }

    async fn keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(self.lists().kept.entry(name.to_owned()).or_insert_with(|| value.to_vec()).clone())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// A database with a channel between its clients would be listened to here.
    fn changes(&self) -> Box<dyn ChangeFeed> {
        self.1.listen()
    }

    fn feed_state(&self) -> FeedState {
        FeedState::Listening
    }
}

/// Opens handles on one set of data; a database's author would open a connection pool here.
#[derive(Default)]
struct Lab(ListStore);

#[async_trait]
impl Harness for Lab {
    async fn open(&self) -> Arc<dyn LicenseStore> {
        Arc::new(self.0.clone())
    }

    fn hears_other_handles(&self) -> bool {
        true
    }
}

// One test for each case: this is all that an author writes.
#[cfg(test)]
license_store::conformance_tests!(Lab::default());

/// Runs the suite without a test runner, each case on data of its own.
#[tokio::main]
async fn main() {
    for (name, case) in CASES {
        case(&Lab::default()).await;
        let _ = std::io::Write::write_all(&mut std::io::stdout(), format!("ok {name}\n").as_bytes());
    }
}

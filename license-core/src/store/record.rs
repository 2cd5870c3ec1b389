//! One license as a single value, for stores without tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::leases::LeaseRecords;
use super::{LicenseQuery, Page};
use crate::command::{Changes, Command, CommandContext, HeldSlot, NewLicense, Reads, View};
use crate::event::Event;
use crate::license::{
    Activation, ActivationId, ActivationKind, Binding, Counters, Lease, LeaseId, LeaseUsage, License,
    LicenseDetail, LicenseId,
};
use crate::limits;
use crate::transfer::ImportedLicense;
use crate::usage::{ActivationDetail, EvictionCandidate, Fold, LastSeen};
use crate::validation::{Claim, LicenseSnapshot};

/// A license with its activations and counters, and everything that a store does with them except locking
/// and writing.
///
/// A store of records in a map, or as documents, needs little other code. `examples/custom_store.rs` and the
/// memory store are built on it.
#[derive(Clone, Debug, PartialEq)]
pub struct LicenseRecord {
    license: Arc<License>,
    counters: Counters,
    activations: BTreeMap<ActivationId, ActivationDetail>,
    by_name: HashMap<(ActivationKind, String), ActivationId>,
    /// Time of the import. A device that was never seen counts as seen then, or at its activation if that is
    /// later.
    imported_at: Option<DateTime<Utc>>,
    leases: LeaseRecords,
}

impl LicenseRecord {
    /// Creates the record of a new license.
    #[must_use]
    pub fn new(NewLicense { license, activations, .. }: &NewLicense) -> Self {
        let unseen = activations.iter().map(|activation| (activation, LastSeen::default()));
        Self::of(license, Counters::default(), None, unseen)
    }

    /// Forgets the notice of an expiry event if it is from after `latest`.
    pub fn forget_notice(&mut self, latest: DateTime<Utc>) {
        if self.license.expiry_notice.is_some_and(|notice| notice.at > latest) {
            Arc::make_mut(&mut self.license).expiry_notice = None;
        }
    }

    /// Creates the record of a license that is imported at `at`.
    #[must_use]
    pub fn imported(new: &ImportedLicense, at: DateTime<Utc>) -> Self {
        let ImportedLicense { license, counters, activations, leases, .. } = new;
        let seen = activations.iter().map(|detail| (&detail.activation, detail.last_seen));
        Self { leases: leases.iter().cloned().collect(), ..Self::of(license, *counters, Some(at), seen) }
    }

    fn of<'a>(
        license: &License,
        counters: Counters,
        imported_at: Option<DateTime<Utc>>,
        all: impl Iterator<Item = (&'a Activation, LastSeen)>,
    ) -> Self {
        let (license, activations, by_name) = (Arc::new(license.clone()), BTreeMap::new(), HashMap::new());
        let mut record =
            Self { license, counters, activations, by_name, imported_at, leases: LeaseRecords::default() };
        all.for_each(|(activation, last_seen)| record.insert(activation, last_seen));
        record
    }

    /// Returns the license.
    #[must_use]
    pub fn license(&self) -> &Arc<License> {
        &self.license
    }

    /// Returns its counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns its activations, oldest first (by id).
    pub fn activations(&self) -> impl Iterator<Item = &ActivationDetail> {
        self.activations.values()
    }

    /// Returns what [`LicenseStore::get`](super::LicenseStore::get) answers.
    #[must_use]
    pub fn detail(&self) -> LicenseDetail {
        let activations = self.activations().map(|detail| &detail.activation);
        LicenseDetail::new(Arc::clone(&self.license), self.counters, activations, limits::LISTED_ACTIVATIONS)
    }

    /// Returns what [`LicenseStore::list`](super::LicenseStore::list) answers, if `records` are ordered by
    /// descending id.
    #[must_use]
    pub fn page<'a>(
        records: impl IntoIterator<Item = &'a Self>,
        LicenseQuery { filter, at, page }: &LicenseQuery,
    ) -> Page<LicenseDetail, LicenseId> {
        let found = records.into_iter().filter(|Self { license, .. }| {
            page.after.as_ref().is_none_or(|after| license.id < *after) && filter.matches(license, *at)
        });
        let items = found.map(Self::detail).take(page.limit as usize + 1).collect();
        Page::from_one_more(items, page.limit, |detail: &LicenseDetail| detail.license.id.clone())
    }

    /// Returns what [`LicenseStore::find_by_key`](super::LicenseStore::find_by_key) answers.
    #[must_use]
    pub fn snapshot(&self, claim: &Claim) -> LicenseSnapshot {
        let bindings: Vec<_> = if self.license.has_inline_bindings() {
            self.activations().map(|detail| detail.activation.binding.clone()).collect()
        } else {
            self.read(&Reads::of_claim(claim)).into_iter().map(|activation| activation.binding).collect()
        };
        LicenseSnapshot::new(Arc::clone(&self.license), bindings)
    }

    /// Returns what [`decide`](crate::command::decide) needs for a command, except [`View::used_key`] and
    /// [`View::trial_claims`], which [`UsedKeys::view`](super::UsedKeys::view) adds.
    #[must_use]
    pub fn view(&self, command: &Command, context: &CommandContext) -> View {
        let wanted = command.eviction_candidates(&self.license, context);
        let candidates = wanted.map(|wanted| {
            wanted.select(self.of_kind(ActivationKind::Device).map(|detail| EvictionCandidate {
                activation: detail.activation.clone(),
                seen_at: self.seen_at(detail),
            }))
        });
        let activations = self.read(&command.reads(context));
        View {
            license: (*self.license).clone(),
            leases: if command.reads_leases(&self.license, context) {
                self.leases.open_of(&activations, context.now)
            } else {
                Vec::new()
            },
            lease_usage: if command.reads_lease_usage(&self.license, context) {
                self.lease_usage(context.now)
            } else {
                LeaseUsage::default()
            },
            activations,
            eviction_candidates: candidates.unwrap_or_default(),
            used_key: None,
            trial_claims: Vec::new(),
        }
    }

    /// Applies a decision. Returns its events, completed with the license as it is now.
    pub fn apply(&mut self, changes: &Changes) -> Vec<Event> {
        let Changes { license, added, released, labelled, events, erased, leases, .. } = changes;
        self.license = Arc::clone(license);
        let at_once: Vec<_> = match leases.revoked {
            Some(slots) => self
                .activations()
                .map(|detail| &detail.activation)
                .filter(|held| slots.include(&held.binding))
                .map(|held| held.id.clone())
                .collect(),
            None => Vec::new(),
        };
        for id in released.iter().chain(&at_once) {
            if let Some(ActivationDetail { activation, .. }) = self.activations.remove(id) {
                self.by_name.remove(&name(&activation));
            }
        }
        for HeldSlot { activation, until, is_returned } in &leases.held {
            if let Some(detail) = self.activations.get_mut(activation) {
                (detail.activation.held_until, detail.activation.is_returned) = (Some(*until), *is_returned);
            }
        }
        for activation in added {
            self.insert(activation, LastSeen::default());
        }
        if let Some((id, label)) = labelled
            && let Some(detail) = self.activations.get_mut(id)
        {
            detail.activation.label.clone_from(label);
        }
        if erased.is_some() {
            self.activations.values_mut().for_each(|detail| detail.activation.label = None);
        }
        let events = events.complete(&self.detail());
        if let Some(event) = events.first() {
            self.leases.apply(leases, event.at);
        }
        events
    }

    /// Adds this license's part of a fold to its counters and activations.
    pub fn record(&mut self, fold: &Fold) {
        if let Some(counters) = fold.counters.get(&self.license.id) {
            self.counters.add(counters);
        }
        for (binding, sightings) in fold.sightings.get(&self.license.id).into_iter().flatten() {
            let id = self.by_name.get(&(binding.kind(), binding.value().to_owned()));
            if let Some(ActivationDetail { activation, last_seen }) =
                id.and_then(|id| self.activations.get_mut(id))
            {
                last_seen.add(activation.created_at, sightings);
            }
        }
    }

    /// Returns when the least recently seen device was last seen, of those whose slot no lease holds at
    /// `now`.
    #[must_use]
    pub fn least_recently_seen_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let devices = self.of_kind(ActivationKind::Device).filter(|detail| !detail.activation.is_held(now));
        devices.map(|detail| self.seen_at(detail)).min()
    }

    /// Returns the leases, oldest first.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.leases.iter()
    }

    /// Removes a lease.
    pub fn remove_lease(&mut self, id: &LeaseId) {
        self.leases.remove(id);
    }

    /// Returns whether a slot waits for the end of a lease that was handed back, and the lease is over at
    /// `now`.
    #[must_use]
    pub fn has_returned(&self, now: DateTime<Utc>) -> bool {
        !self.read(&Reads::Returned(now)).is_empty()
    }

    fn lease_usage(&self, now: DateTime<Utc>) -> LeaseUsage {
        let holds = self.of_kind(ActivationKind::Device).filter_map(|detail| detail.activation.held_until);
        self.leases.usage(holds, now)
    }

    fn seen_at(&self, detail: &ActivationDetail) -> DateTime<Utc> {
        let imported_at = self.imported_at.unwrap_or_default();
        detail.last_seen.last_seen_at.unwrap_or_else(|| detail.seen_at().max(imported_at))
    }

    fn of_kind(&self, kind: ActivationKind) -> impl Iterator<Item = &ActivationDetail> {
        self.activations().filter(move |detail| detail.activation.binding.kind() == kind)
    }

    fn read(&self, reads: &Reads) -> Vec<Activation> {
        let by_name = |kind, text: &String| {
            let id = self.by_name.get(&(kind, text.clone()))?;
            self.activations.get(id)
        };
        let found: Vec<_> = match reads {
            Reads::Nothing => Vec::new(),
            Reads::One(id) => self.activations.get(id).into_iter().collect(),
            Reads::Domains => {
                self.of_kind(ActivationKind::Domain).take(limits::DOMAINS_PER_REQUEST).collect()
            }
            Reads::Wildcards => {
                let domains = self.of_kind(ActivationKind::Domain);
                domains.filter(|detail| is_wildcard(&detail.activation.binding)).collect()
            }
            Reads::OfLease(id) => {
                let device = self.leases.get(id).map(|lease| &lease.device);
                let of_device = self.leases.iter().filter(|lease| Some(&lease.device) == device);
                let ids: BTreeSet<_> =
                    of_device.filter_map(|lease| lease.domain.as_ref()).chain(device).collect();
                ids.into_iter().filter_map(|id| self.activations.get(id)).collect()
            }
            Reads::Returned(now) => {
                let returned = self.activations().filter(|ActivationDetail { activation, .. }| {
                    activation.is_returned && !activation.is_held(*now)
                });
                returned.take(limits::RELEASED_AT_ONCE as usize).collect()
            }
            Reads::Claim { domains, fingerprint } => {
                let domains = domains.iter().filter_map(|text| by_name(ActivationKind::Domain, text));
                let device = fingerprint.iter().filter_map(|text| by_name(ActivationKind::Device, text));
                domains.chain(device).collect()
            }
        };
        found.into_iter().map(|detail| detail.activation.clone()).collect()
    }

    fn insert(&mut self, activation: &Activation, last_seen: LastSeen) {
        self.by_name.insert(name(activation), activation.id.clone());
        let detail = ActivationDetail { activation: activation.clone(), last_seen };
        self.activations.insert(activation.id.clone(), detail);
    }
}

fn is_wildcard(binding: &Binding) -> bool {
    matches!(binding, Binding::Domain(domain) if domain.is_wildcard())
}

fn name(activation: &Activation) -> (ActivationKind, String) {
    (activation.binding.kind(), activation.binding.value().to_owned())
}

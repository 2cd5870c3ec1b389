//! Batches of an import, and the result for each license.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::access::{Actor, AuditEntry};
use crate::event::Event;
use crate::key::KeyDigest;
use crate::license::{Counters, ExternalId, Lease, License, LicenseChanged, LicenseId};
use crate::trial::TrialClaim;
use crate::usage::{ActivationDetail, Rollup};

/// Licenses to import in one commit.
#[derive(Clone, Debug)]
pub struct ImportBatch {
    /// The licenses.
    pub licenses: Vec<ImportedLicense>,
    /// The time of the import.
    pub at: DateTime<Utc>,
    /// The actor for the audit; `None` writes no entry.
    pub by: Option<Arc<Actor>>,
}

/// Rollups to import in one commit.
#[derive(Clone, Debug)]
pub struct RollupBatch {
    /// The rollups, whose keys differ.
    pub rollups: Vec<Rollup>,
    /// The time of the import.
    pub at: DateTime<Utc>,
    /// The actor for the audit; `None` writes no entry.
    pub by: Option<Arc<Actor>>,
}

impl RollupBatch {
    /// Returns the audit entry: one for all new rollups. Pure.
    #[must_use]
    pub fn audit(&self, settled: &[ImportedRollup]) -> Option<AuditEntry> {
        let count = settled.iter().filter(|settled| **settled == ImportedRollup::New).count();
        self.by.as_ref().filter(|_| count > 0).map(|by| AuditEntry::of_rollups(count, by, self.at))
    }
}

/// A license to import.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedLicense {
    /// The license.
    pub license: License,
    /// Its counters in the system that it comes from.
    pub counters: Counters,
    /// All its activations, ordered by id, with their last-seen data in the system that they come from.
    pub activations: Vec<ActivationDetail>,
    /// Its complete events; normally none.
    pub events: Vec<Event>,
    /// Whether the line has an id. Otherwise the import derived one.
    pub id_given: bool,
    /// Whether the line has a key. Otherwise the import generated one.
    pub key_given: bool,
    /// The trial claims to add with the license. Those of claimed digests are ignored.
    pub trial_claims: Vec<TrialClaim>,
    /// Its leases, ordered by id.
    pub leases: Vec<Lease>,
}

/// An existing license with an id, a key or an external id of the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub id: LicenseId,
    /// Its key.
    pub key_digest: KeyDigest,
    /// Its external id.
    pub external_id: Option<ExternalId>,
}

/// The result for one license of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The license was stored.
    New,
    /// It existed before, and was not changed.
    Existing,
    /// A license with this id has another key.
    IdTaken,
    /// Another license has this key.
    KeyTaken {
        /// The other license.
        by: LicenseId,
    },
    /// Another license has this external id.
    ExternalIdTaken {
        /// The other license.
        by: LicenseId,
    },
}

/// The result for one rollup of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportedRollup {
    /// The rollup was stored.
    New,
    /// It existed before, and was not changed.
    Existing,
    /// The license of the rollup does not exist.
    NoLicense,
    /// Rollups of its day were [pruned](crate::usage::RetainedUsage::has_rollups_of), so this one may already
    /// be in the totals.
    Pruned,
}

impl ImportBatch {
    /// Decides which licenses are new. `holders` must contain all existing licenses with an id, a key or an
    /// external id of the batch. Of new licenses with one external id, the first is stored. Pure.
    #[must_use]
    pub fn settle(&self, holders: &[Holder]) -> Vec<Imported> {
        let by_id: HashMap<_, _> = holders.iter().map(|holder| (&holder.id, holder)).collect();
        let by_key: HashMap<_, _> = holders.iter().map(|holder| (&holder.key_digest, holder)).collect();
        let by_external_id = holders.iter().filter_map(|one| Some((one.external_id.as_ref()?, &one.id)));
        let mut by_external_id: HashMap<_, _> = by_external_id.collect();
        let settled = self.licenses.iter().map(|ImportedLicense { license, id_given, key_given, .. }| {
            if let Some(holder) = by_id.get(&license.id) {
                let same = !key_given || holder.key_digest == license.key_digest;
                return if same { Imported::Existing } else { Imported::IdTaken };
            }
            match by_key.get(&license.key_digest) {
                Some(holder) if *id_given => return Imported::KeyTaken { by: holder.id.clone() },
                Some(_) => return Imported::Existing,
                None => {}
            }
            let Some(external_id) = &license.external_id else { return Imported::New };
            if let Some(by) = by_external_id.get(external_id) {
                return Imported::ExternalIdTaken { by: (*by).clone() };
            }
            by_external_id.insert(external_id, &license.id);
            Imported::New
        });
        settled.collect()
    }

    /// Returns the new licenses of the batch.
    pub fn new_ones<'a>(&'a self, settled: &'a [Imported]) -> impl Iterator<Item = &'a ImportedLicense> {
        let pairs = self.licenses.iter().zip(settled);
        pairs.filter_map(|(license, settled)| (*settled == Imported::New).then_some(license))
    }

    /// Returns the audit entry: one for all new licenses. Pure.
    #[must_use]
    pub fn audit(&self, settled: &[Imported]) -> Option<AuditEntry> {
        let mut ids = self.new_ones(settled).map(|new| &new.license.id);
        let first = ids.next()?;
        let count = 1 + ids.count();
        self.by.as_ref().map(|by| AuditEntry::of_import(first, count, by, self.at))
    }

    /// Returns the notices for caches, since the keys of new licenses are no longer unknown.
    #[must_use]
    pub fn notices(&self, settled: &[Imported]) -> Vec<LicenseChanged> {
        self.new_ones(settled).map(|new| LicenseChanged::from(&new.license)).collect()
    }
}

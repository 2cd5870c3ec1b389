//! Batches of an import, and what becomes of each license.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::access::{Actor, AuditEntry};
use crate::event::Event;
use crate::key::KeyDigest;
use crate::license::{Counters, License, LicenseId};
use crate::store::LicenseChanged;
use crate::usage::ActivationDetail;

/// Licenses to keep in one commit.
#[derive(Clone, Debug)]
pub struct ImportBatch {
    /// The licenses.
    pub licenses: Vec<ImportedLicense>,
    /// When.
    pub at: DateTime<Utc>,
    /// The actor for the audit; `None` writes no entry.
    pub by: Option<Arc<Actor>>,
}

/// A license as it is to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedLicense {
    /// The license.
    pub license: License,
    /// What validations counted where it comes from.
    pub counters: Counters,
    /// All that is bound to it, in the order of ids, with what validations said of it where it comes from.
    pub activations: Vec<ActivationDetail>,
    /// Its events, complete: normally none.
    pub events: Vec<Event>,
    /// Whether its id is its own, or was made up by the import.
    pub id_given: bool,
    /// Whether its key is its own.
    pub key_given: bool,
}

/// A license that a store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub id: LicenseId,
    /// Its key.
    pub key_digest: KeyDigest,
}

/// What became of a license of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// Kept.
    New,
    /// It was there, and is left as it is.
    Existing,
    /// A license with this id has another key.
    IdTaken,
    /// Another license has this key.
    KeyTaken {
        /// The other one.
        by: LicenseId,
    },
}

/// What became of a rollup of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportedRollup {
    /// Kept.
    New,
    /// There was one, and it is left as it is.
    Existing,
    /// There is no such license.
    NoLicense,
    /// Rollups of its day are [not kept any longer](crate::usage::RetainedUsage::has_rollups_of): it may be one
    /// of those that were removed, and are in the totals.
    Pruned,
}

impl ImportBatch {
    /// Decides of each license whether it is new, where the store has `holders`: at least all with an id or a
    /// key of the batch. Pure.
    #[must_use]
    pub fn settle(&self, holders: &[Holder]) -> Vec<Imported> {
        let by_id: HashMap<_, _> = holders.iter().map(|holder| (&holder.id, holder)).collect();
        let by_key: HashMap<_, _> = holders.iter().map(|holder| (&holder.key_digest, holder)).collect();
        let settled = self.licenses.iter().map(|ImportedLicense { license, id_given, key_given, .. }| {
            if let Some(holder) = by_id.get(&license.id) {
                let same = !key_given || holder.key_digest == license.key_digest;
                return if same { Imported::Existing } else { Imported::IdTaken };
            }
            match by_key.get(&license.key_digest) {
                Some(holder) if *id_given => Imported::KeyTaken { by: holder.id.clone() },
                Some(_) => Imported::Existing,
                None => Imported::New,
            }
        });
        settled.collect()
    }

    /// Those of the batch that are new.
    pub fn new_ones<'a>(&'a self, settled: &'a [Imported]) -> impl Iterator<Item = &'a ImportedLicense> {
        let pairs = self.licenses.iter().zip(settled);
        pairs.filter_map(|(license, settled)| (*settled == Imported::New).then_some(license))
    }

    /// The entry to add to the audit: one for all that are new. Pure.
    #[must_use]
    pub fn audit(&self, settled: &[Imported]) -> Option<AuditEntry> {
        let mut ids = self.new_ones(settled).map(|one| &one.license.id);
        let first = ids.next()?;
        let count = 1 + ids.count();
        self.by.as_ref().map(|by| AuditEntry::of_import(first, count, by, self.at))
    }

    /// What to tell listeners: the keys of the new ones are no longer unknown.
    #[must_use]
    pub fn notices(&self, settled: &[Imported]) -> Vec<LicenseChanged> {
        let notice = |one: &ImportedLicense| {
            let License { id, key_digest, version, .. } = &one.license;
            LicenseChanged { license_id: id.clone(), key_digest: *key_digest, version: *version }
        };
        self.new_ones(settled).map(notice).collect()
    }
}

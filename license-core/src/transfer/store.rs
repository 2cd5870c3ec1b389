//! The port of many licenses at once: what an import asks of a store, and an export.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::activation::ActivationId;
use crate::audit::{Actor, AuditEntry};
use crate::change::Change;
use crate::event::Event;
use crate::key::KeyDigest;
use crate::license::{Counters, License, LicenseId};
use crate::seen::ActivationDetail;
use crate::store::{LicenseStore, StoreError};
use crate::usage::{Rollup, RollupKey};

/// Takes many licenses in, and gives all out. Beside [`LicenseStore`], on the same data; every method is one atomic operation.
#[async_trait]
pub trait TransferStore: LicenseStore {
    /// Keeps those licenses of the batch that are not there, with their activations, events and the [entry of the
    /// audit](ImportBatch::audit), in one commit; says of each, in order, what became of it.
    ///
    /// Who has the ids and keys is read within the commit, and [`ImportBatch::settle`] decides; what is there already is left as
    /// it is. A device that was never seen counts as seen at [`ImportBatch::at`], so that none is idle for want of figures. No two of
    /// a batch have an id or a key in common. Nothing is written, the audit included, where none is new.
    /// Listeners are [told](ImportBatch::notices) of the new ones.
    ///
    /// # Errors
    /// As all methods: [`StoreError`]; nothing is written then.
    async fn import(&self, batch: &ImportBatch) -> Result<Vec<Imported>, StoreError>;

    /// What [`import`](Self::import) would say now. Writes nothing.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn foresee(&self, batch: &ImportBatch) -> Result<Vec<Imported>, StoreError>;

    /// Keeps those rollups of which there is none with the same key, of licenses that there are, in one commit; says of each, in
    /// order, what became of it. What is there is left as it is. No two have a key in common. Of the days up to the last that is new,
    /// [single validations are not all kept](crate::usage::UsageKept::imported) from then on.
    ///
    /// # Errors
    /// As all methods: [`StoreError`]; nothing is written then.
    async fn import_rollups(&self, rollups: &[Rollup]) -> Result<Vec<ImportedRollup>, StoreError>;

    /// What [`import_rollups`](Self::import_rollups) would say now. Writes nothing.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn foresee_rollups(&self, rollups: &[Rollup]) -> Result<Vec<ImportedRollup>, StoreError>;

    /// Begins to read all licenses, activations and rollups, as of one moment: what is committed later is not seen.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError>;

    /// All that [`keep_first`](LicenseStore::keep_first) keeps under names that begin with `prefix`: name and value, in the order of
    /// names.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn kept_under(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError>;
}

/// All licenses as of one moment. Reads are small, one after the other; it ends when it is dropped.
#[async_trait]
pub trait Snapshot: Send {
    /// The licenses behind `after` by id, upwards, at most `limit`.
    ///
    /// # Errors
    /// A fault of the store; also where the moment is lost, as with a broken connection.
    async fn licenses(
        &mut self,
        after: Option<&LicenseId>,
        limit: u32,
    ) -> Result<Vec<(Arc<License>, Counters)>, StoreError>;

    /// The activations behind `after` by license and id, upwards, at most `limit`, with what validations say of them; what is recorded
    /// and not compacted yet is counted.
    ///
    /// # Errors
    /// As [`licenses`](Self::licenses).
    async fn activations(
        &mut self,
        after: Option<(&LicenseId, &ActivationId)>,
        limit: u32,
    ) -> Result<Vec<(LicenseId, ActivationDetail)>, StoreError>;

    /// The rollups behind `after` by key, upwards, at most `limit`; what is recorded and not rolled up yet is in them.
    ///
    /// # Errors
    /// As [`licenses`](Self::licenses).
    async fn rollups(&mut self, after: Option<&RollupKey>, limit: u32) -> Result<Vec<Rollup>, StoreError>;
}

/// Licenses to keep in one commit.
#[derive(Clone, Debug)]
pub struct ImportBatch {
    /// The licenses.
    pub licenses: Vec<ImportedLicense>,
    /// When.
    pub at: DateTime<Utc>,
    /// Who imports, for the audit; `None`: nobody who is audited.
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
    There,
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
    There,
    /// There is no such license.
    NoLicense,
    /// Rollups of its day are [not kept any longer](crate::usage::UsageKept::has_rollups_of): it may be one of those that were
    /// removed, and are in the totals.
    Gone,
}

impl ImportBatch {
    /// Decides of each license whether it is new, where the store has `holders`: at least all with an id or a key of the batch. Pure.
    #[must_use]
    pub fn settle(&self, holders: &[Holder]) -> Vec<Imported> {
        let by_id: HashMap<_, _> = holders.iter().map(|holder| (&holder.id, holder)).collect();
        let by_key: HashMap<_, _> = holders.iter().map(|holder| (&holder.key_digest, holder)).collect();
        let settled = self.licenses.iter().map(|ImportedLicense { license, id_given, key_given, .. }| {
            if let Some(holder) = by_id.get(&license.id) {
                let same = !key_given || holder.key_digest == license.key_digest;
                return if same { Imported::There } else { Imported::IdTaken };
            }
            match by_key.get(&license.key_digest) {
                Some(holder) if *id_given => Imported::KeyTaken { by: holder.id.clone() },
                Some(_) => Imported::There,
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
    pub fn notices(&self, settled: &[Imported]) -> Vec<Change> {
        let notice = |one: &ImportedLicense| {
            let License { id, key_digest, version, .. } = &one.license;
            Change { license_id: id.clone(), key_digest: *key_digest, version: *version }
        };
        self.new_ones(settled).map(notice).collect()
    }
}

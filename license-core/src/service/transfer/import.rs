//! Imports licenses from lines: collects, validates, and writes them in batches.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::super::key_formats::read_key;
use super::{TransferError, TransferService};
use crate::access::Actor;
use crate::key::{ImportedKeyFormat, ImportedKeyFormats, KeyDigest, LicenseKey, SealedKey};
use crate::license::LicenseId;
use crate::limits;
use crate::transfer::line::{ActivationLine, KeyLine, Line, is_of_activation};
use crate::transfer::validate_row::{Rules, validate_row};
use crate::transfer::{ImportBatch, ImportLineError, Imported, ImportedLicense, ImportedRollup, LicenseLine};
use crate::usage::{Day, Rollup, RollupKey, UsageSum};

/// Licenses per commit.
const BATCH: usize = 1_000;
/// Activations per commit, unless one license has more.
const BATCH_ACTIVATIONS: usize = 20_000;
/// Rollups per commit.
const BATCH_ROLLUPS: usize = 5_000;
/// Context to derive ids that lines do not give.
const ID_CONTEXT: &str = "license-core 2026 imported license id v1";

/// Options of an import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Finds the same errors without writing anything.
    pub dry_run: bool,
    /// Emits `license.imported` for each license. Off by default, so that webhook receivers are not flooded.
    pub events: bool,
    /// Imports licenses that hold more slots than their limit; otherwise they are rejected.
    pub over_limit: bool,
    /// Formats of imported keys, in addition to those in the database or the lines.
    pub key_formats: Vec<ImportedKeyFormat>,
    /// The actor for the audit.
    pub by: Option<Arc<Actor>>,
}

/// Counts of what an import did, or of what a dry run would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// New licenses.
    pub imported: u64,
    /// Activations of new licenses.
    pub activations: u64,
    /// New rollups.
    pub rollups: u64,
    /// Existing licenses, left unchanged.
    pub existing: u64,
    /// Rejected licenses and lines.
    pub refused: u64,
}

/// An import in progress. Pass all lines or rows in order, then call [`finish`](Self::finish).
///
/// A license is imported with all its activations or not at all. Memory grows by about 200 bytes per
/// license, since the ids and keys of earlier lines are remembered to detect duplicates.
pub struct Importer<'a> {
    service: &'a TransferService,
    formats: ImportedKeyFormats,
    options: ImportOptions,
    current: CurrentLicense,
    batch: Vec<(u64, ImportedLicense)>,
    batch_activations: usize,
    rollups: BTreeMap<RollupKey, (u64, UsageSum)>,
    ids: HashMap<LicenseId, u64>,
    keys: HashMap<KeyDigest, u64>,
    has_opened_a_key: bool,
    report: ImportReport,
    faults: Vec<(u64, ImportLineError)>,
}

impl fmt::Debug for Importer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, report, .. } = self;
        f.debug_struct("Importer").field("options", options).field("report", report).finish_non_exhaustive()
    }
}

/// The license whose lines are being read.
enum CurrentLicense {
    None,
    License {
        number: u64,
        line: Box<LicenseLine>,
        activations: Vec<(u64, ActivationLine)>,
    },
    /// Rejected, together with its following activation lines.
    Rejected,
}

impl<'a> Importer<'a> {
    pub(super) fn new(
        service: &'a TransferService,
        formats: ImportedKeyFormats,
        options: ImportOptions,
    ) -> Self {
        Self {
            service,
            formats,
            options,
            current: CurrentLicense::None,
            batch: Vec::new(),
            batch_activations: 0,
            rollups: BTreeMap::new(),
            ids: HashMap::new(),
            keys: HashMap::new(),
            has_opened_a_key: false,
            report: ImportReport::default(),
            faults: Vec::new(),
        }
    }

    pub(super) async fn declare_given(&mut self) -> Result<(), TransferError> {
        for format in std::mem::take(&mut self.options.key_formats) {
            self.declare(format).await?;
        }
        Ok(())
    }

    async fn declare(&mut self, format: ImportedKeyFormat) -> Result<(), TransferError> {
        self.formats = std::mem::take(&mut self.formats).with(format.clone())?;
        if self.options.dry_run { Ok(()) } else { self.service.declare(&format).await }
    }

    /// Processes the JSON line with this number. Empty lines are skipped.
    ///
    /// # Errors
    /// Returns [`TransferError`] if the import cannot continue. [`take_faults`](Self::take_faults) has
    /// rejected lines.
    pub async fn line(&mut self, number: u64, line: &[u8]) -> Result<(), TransferError> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        match Line::parse(line) {
            Ok(Line::Export) => self.close().await,
            Ok(Line::KeyFormat(format)) => {
                self.close().await?;
                self.declare(format).await
            }
            Ok(Line::Rollup(rollup)) => self.rollup(number, *rollup).await,
            Ok(Line::License(license)) => self.license(number, Ok(license)).await,
            Ok(Line::Activation(activation)) => {
                self.activation(number, activation);
                Ok(())
            }
            // A license without one of its activations would be incomplete, so all of it is rejected.
            Err(fault) if is_of_activation(line) => {
                if !matches!(self.current, CurrentLicense::Rejected) {
                    self.reject(number, fault);
                    self.current = CurrentLicense::Rejected;
                }
                Ok(())
            }
            Err(fault) => self.license(number, Err(fault)).await,
        }
    }

    /// Processes the license in the table row with this number.
    ///
    /// # Errors
    /// Returns [`TransferError`] as [`line`](Self::line) does.
    pub async fn row(
        &mut self,
        number: u64,
        row: Result<LicenseLine, ImportLineError>,
    ) -> Result<(), TransferError> {
        self.license(number, row.map(Box::new)).await
    }

    async fn license(
        &mut self,
        number: u64,
        line: Result<Box<LicenseLine>, ImportLineError>,
    ) -> Result<(), TransferError> {
        self.close().await?;
        match line {
            Ok(line) => self.current = CurrentLicense::License { number, line, activations: Vec::new() },
            Err(fault) => {
                self.reject(number, fault);
                self.current = CurrentLicense::Rejected;
            }
        }
        Ok(())
    }

    fn activation(&mut self, number: u64, line: ActivationLine) {
        let fault = match &mut self.current {
            CurrentLicense::Rejected => return,
            CurrentLicense::None => ImportLineError::Stray,
            CurrentLicense::License { line: license, activations, .. } => match &license.id {
                Some(id) if *id == line.license && activations.len() < limits::IMPORT_ACTIVATIONS => {
                    activations.push((number, line));
                    return;
                }
                Some(id) if *id == line.license => ImportLineError::TooManyActivations,
                _ => ImportLineError::Stray,
            },
        };
        // A stray activation does not affect the license before it.
        if fault == ImportLineError::TooManyActivations {
            self.current = CurrentLicense::Rejected;
        }
        self.reject(number, fault);
    }

    async fn rollup(&mut self, number: u64, rollup: Rollup) -> Result<(), TransferError> {
        self.close().await?;
        let Rollup { key, sum } = rollup;
        // Allows clocks that are up to a day ahead.
        if key.day.number() > Day::of(self.service.context.now()).number() + 1 {
            self.reject(number, ImportLineError::field("day", "it must not be in the future"));
            return Ok(());
        }
        match self.rollups.entry(key) {
            Entry::Occupied(before) => {
                let line = before.get().0;
                self.reject(number, ImportLineError::Twice { line, what: "rollup key" });
            }
            Entry::Vacant(entry) => {
                entry.insert((number, sum));
            }
        }
        if self.rollups.len() >= BATCH_ROLLUPS { self.write_rollups().await } else { Ok(()) }
    }

    /// Writes the collected rollups, after the licenses they may belong to.
    async fn write_rollups(&mut self) -> Result<(), TransferError> {
        self.write_batch().await?;
        if self.rollups.is_empty() {
            return Ok(());
        }
        let gathered = std::mem::take(&mut self.rollups);
        let (numbers, rollups): (Vec<_>, Vec<_>) =
            gathered.into_iter().map(|(key, (number, sum))| (number, Rollup { key, sum })).unzip();
        let store = &self.service.store;
        let settled = if self.options.dry_run {
            store.dry_run_rollups(&rollups).await?
        } else {
            store.import_rollups(&rollups).await?
        };
        for ((number, rollup), settled) in numbers.into_iter().zip(rollups).zip(settled) {
            let id = rollup.key.license_id;
            match settled {
                // In a dry run, licenses of earlier lines are not stored.
                ImportedRollup::NoLicense if !(self.options.dry_run && self.ids.contains_key(&id)) => {
                    self.reject(number, ImportLineError::NoLicense { id });
                }
                ImportedRollup::New | ImportedRollup::NoLicense => self.report.rollups += 1,
                ImportedRollup::Pruned => self.reject(number, ImportLineError::Gone),
                ImportedRollup::Existing => {}
            }
        }
        Ok(())
    }

    fn reject(&mut self, number: u64, fault: ImportLineError) {
        self.report.refused += 1;
        self.faults.push((number, fault));
    }

    /// Validates the license whose lines are complete.
    async fn close(&mut self) -> Result<(), TransferError> {
        let CurrentLicense::License { number, line, activations } =
            std::mem::replace(&mut self.current, CurrentLicense::None)
        else {
            return Ok(());
        };
        match self.validate(number, *line, activations)? {
            Ok(license) => {
                self.batch_activations += license.activations.len();
                self.batch.push((number, license));
                if self.batch.len() >= BATCH || self.batch_activations >= BATCH_ACTIVATIONS {
                    self.write_batch().await?;
                }
            }
            Err((at, fault)) => self.reject(at, fault),
        }
        Ok(())
    }

    fn validate(
        &mut self,
        number: u64,
        line: LicenseLine,
        activations: Vec<(u64, ActivationLine)>,
    ) -> Result<Result<ImportedLicense, (u64, ImportLineError)>, TransferError> {
        let now = self.service.context.now();
        let key = match self.key(number, &line)? {
            Ok(key) => key,
            Err(fault) => return Ok(Err((number, fault))),
        };
        let digest = key.as_ref().map(|key| self.service.context.vault.digest(key));
        let (id, id_given) = match (&line.id, &digest) {
            (Some(id), _) => (id.clone(), true),
            (None, Some(digest)) => {
                let mut last = [0; 10];
                last.copy_from_slice(&blake3::derive_key(ID_CONTEXT, digest.as_bytes())[..10]);
                (LicenseId::derived(line.created_at.unwrap_or(now), last), false)
            }
            (None, None) => return Ok(Err((number, ImportLineError::Nameless))),
        };
        let duplicate = self.ids.get(&id).map(|line| (*line, "id"));
        let duplicate =
            duplicate.or_else(|| digest.and_then(|digest| self.keys.get(&digest)).map(|line| (*line, "key")));
        if let Some((line, what)) = duplicate {
            return Ok(Err((number, ImportLineError::Twice { line, what })));
        }
        let key = self.sealed(key, &id)?;
        let Self { service, options, .. } = self;
        let ImportOptions { over_limit, events, .. } = *options;
        let rules = Rules { plans: &service.context.plans, now, over_limit, events };
        Ok(match validate_row((id, id_given), key, line, activations, &rules) {
            Ok(license) => {
                self.ids.insert(license.license.id.clone(), number);
                self.keys.insert(license.license.key_digest, number);
                Ok(license)
            }
            Err((at, fault)) => Err((at.unwrap_or(number), fault)),
        })
    }

    /// Returns the key given in a line.
    fn key(
        &mut self,
        number: u64,
        line: &LicenseLine,
    ) -> Result<Result<Option<LicenseKey>, ImportLineError>, TransferError> {
        let opened = match (&line.key, &line.id) {
            (None, _) => return Ok(Ok(None)),
            (Some(KeyLine::Clear(text)), _) => return Ok(self.read(text).map(Some)),
            (Some(KeyLine::Sealed(_)), None) => return Ok(Err(ImportLineError::Sealed)),
            (Some(KeyLine::Sealed(sealed)), Some(id)) => {
                match self.service.context.export_seal.open(sealed, id.as_str()) {
                    Ok(opened) => opened,
                    Err(_) if self.has_opened_a_key => return Ok(Err(ImportLineError::Sealed)),
                    Err(_) => return Err(TransferError::OtherSecret { line: number }),
                }
            }
        };
        self.has_opened_a_key = true;
        // A key with another prefix was the other database's own; here it is an imported key.
        Ok(self.read(opened.reveal()).map(Some))
    }

    fn read(&self, text: &str) -> Result<LicenseKey, ImportLineError> {
        let mut imported = false;
        let key = read_key(text, &self.service.context.key_format, || {
            imported = true;
            self.formats.read(text)
        });
        key.map_err(|error| if imported { ImportLineError::KeyForm } else { ImportLineError::Key(error) })
    }

    /// Returns the digest and sealed form of the given key, or of a new key.
    fn sealed(
        &self,
        given: Option<LicenseKey>,
        id: &LicenseId,
    ) -> Result<(KeyDigest, SealedKey), TransferError> {
        let context = &self.service.context;
        let sealed = context.with_rng(|rng| {
            let key = given.map_or_else(|| context.key_format.generate(rng), Ok)?;
            Ok((context.vault.digest(&key), context.vault.seal(&key, id.as_str(), rng)?))
        });
        Ok(sealed?)
    }

    /// Writes the collected licenses in one commit.
    async fn write_batch(&mut self) -> Result<(), TransferError> {
        self.batch_activations = 0;
        if self.batch.is_empty() {
            return Ok(());
        }
        let (numbers, licenses): (Vec<_>, Vec<_>) = std::mem::take(&mut self.batch).into_iter().unzip();
        let batch = ImportBatch { licenses, at: self.service.context.now(), by: self.options.by.clone() };
        let store = &self.service.store;
        let settled = if self.options.dry_run {
            store.dry_run(&batch).await?
        } else {
            self.service.store_batch(&batch).await?
        };
        for ((number, one), settled) in numbers.into_iter().zip(&batch.licenses).zip(settled) {
            match settled {
                Imported::New => {
                    self.report.imported += 1;
                    self.report.activations += one.activations.len() as u64;
                }
                Imported::Existing => self.report.existing += 1,
                Imported::IdTaken => {
                    self.reject(number, ImportLineError::IdTaken { id: one.license.id.clone() });
                }
                Imported::KeyTaken { by } => self.reject(number, ImportLineError::KeyTaken { by }),
            }
        }
        Ok(())
    }

    /// Returns the rejected lines since the last call: their numbers and errors.
    pub fn take_faults(&mut self) -> Vec<(u64, ImportLineError)> {
        std::mem::take(&mut self.faults)
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn report(&self) -> ImportReport {
        self.report
    }

    /// Writes the remaining licenses and rollups.
    ///
    /// # Errors
    /// Returns [`TransferError`] as [`line`](Self::line) does.
    pub async fn finish(&mut self) -> Result<ImportReport, TransferError> {
        self.close().await?;
        self.write_rollups().await?;
        Ok(self.report)
    }
}

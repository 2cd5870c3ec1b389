//! Imports licenses from lines: collects, validates, and writes them in batches.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::super::key_formats::read_key;
use super::TransferService;
use crate::access::Actor;
use crate::debug::partial_debug;
use crate::error::ServiceError;
use crate::key::{ImportedKeyFormat, ImportedKeyFormats, KeyDigest, KeyError, LicenseKey};
use crate::license::LicenseId;
use crate::limits;
use crate::transfer::line::{ActivationLine, Line, is_of_activation};
use crate::transfer::validate_row::{Rules, validate_row};
use crate::transfer::{ImportBatch, ImportLineError, Imported, ImportedLicense, ImportedRollup, LicenseLine};
use crate::usage::{Day, Rollup, RollupKey, UsageSum};

/// Licenses per commit.
const BATCH: usize = 1_000;
/// Activations per commit, unless one license has more.
const BATCH_ACTIVATIONS: usize = 20_000;
/// Rollups per commit.
const BATCH_ROLLUPS: usize = 5_000;
/// Context to derive the ids of lines without one.
const ID_CONTEXT: &str = "license-core 2026 imported license id v1";

/// Options of an import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Reports the same errors, but writes nothing.
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

/// Counts of an import. Those of a dry run are what an import would do.
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

partial_debug!(Importer<'_> { options, report });

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

/// The reason why a license is not imported.
enum LineFault {
    /// A line is rejected; `None` is the line of the license.
    Line(Option<u64>, ImportLineError),
    /// The import cannot continue.
    Import(ServiceError),
}

impl From<ImportLineError> for LineFault {
    fn from(fault: ImportLineError) -> Self {
        Self::Line(None, fault)
    }
}

impl From<ServiceError> for LineFault {
    fn from(error: ServiceError) -> Self {
        Self::Import(error)
    }
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

    pub(super) async fn declare_given(&mut self) -> Result<(), ServiceError> {
        for format in std::mem::take(&mut self.options.key_formats) {
            self.declare(format).await?;
        }
        Ok(())
    }

    async fn declare(&mut self, format: ImportedKeyFormat) -> Result<(), ServiceError> {
        self.formats = std::mem::take(&mut self.formats).with(format.clone())?;
        if self.options.dry_run { Ok(()) } else { self.service.declare(&format).await }
    }

    /// Processes the JSON line with this number. Empty lines are skipped.
    ///
    /// # Errors
    /// Returns [`ServiceError`] if the import cannot continue. [`take_faults`](Self::take_faults) returns the
    /// rejected lines.
    pub async fn line(&mut self, number: u64, line: &[u8]) -> Result<(), ServiceError> {
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
    /// Returns [`ServiceError`] as [`line`](Self::line) does.
    pub async fn row(
        &mut self,
        number: u64,
        row: Result<LicenseLine, ImportLineError>,
    ) -> Result<(), ServiceError> {
        self.license(number, row.map(Box::new)).await
    }

    async fn license(
        &mut self,
        number: u64,
        line: Result<Box<LicenseLine>, ImportLineError>,
    ) -> Result<(), ServiceError> {
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
            CurrentLicense::License { line: license, activations, .. }
                if license.id.as_ref() == Some(&line.license) =>
            {
                if activations.len() < limits::IMPORT_ACTIVATIONS {
                    activations.push((number, line));
                    return;
                }
                self.current = CurrentLicense::Rejected;
                ImportLineError::too_many_activations()
            }
            // A stray activation does not affect the license before it.
            CurrentLicense::License { .. } | CurrentLicense::None => {
                ImportLineError::new("it does not follow the line of its license")
            }
        };
        self.reject(number, fault);
    }

    async fn rollup(&mut self, number: u64, rollup: Rollup) -> Result<(), ServiceError> {
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
                self.reject(number, same_as(line, "rollup key"));
            }
            Entry::Vacant(entry) => {
                entry.insert((number, sum));
            }
        }
        if self.rollups.len() >= BATCH_ROLLUPS { self.write_rollups().await } else { Ok(()) }
    }

    /// Writes the collected rollups, after the licenses they may belong to.
    async fn write_rollups(&mut self) -> Result<(), ServiceError> {
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
                    self.reject(number, ImportLineError::new(format!("there is no license {id}")));
                }
                ImportedRollup::New | ImportedRollup::NoLicense => self.report.rollups += 1,
                ImportedRollup::Pruned => {
                    self.reject(number, ImportLineError::new("usage of this day has been removed here"));
                }
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
    async fn close(&mut self) -> Result<(), ServiceError> {
        let CurrentLicense::License { number, line, activations } =
            std::mem::replace(&mut self.current, CurrentLicense::None)
        else {
            return Ok(());
        };
        match self.validate(number, *line, activations) {
            Ok(license) => {
                self.batch_activations += license.activations.len();
                self.batch.push((number, license));
                if self.batch.len() >= BATCH || self.batch_activations >= BATCH_ACTIVATIONS {
                    self.write_batch().await?;
                }
            }
            Err(LineFault::Line(at, fault)) => self.reject(at.unwrap_or(number), fault),
            Err(LineFault::Import(error)) => return Err(error),
        }
        Ok(())
    }

    fn validate(
        &mut self,
        number: u64,
        line: LicenseLine,
        activations: Vec<(u64, ActivationLine)>,
    ) -> Result<ImportedLicense, LineFault> {
        let context = &self.service.context;
        let now = context.now();
        let key = self.key(number, &line)?;
        let digest = key.as_ref().map(|key| context.vault.digest(key));
        let (id, id_given) = match (&line.id, &digest) {
            (Some(id), _) => (id.clone(), true),
            (None, Some(digest)) => {
                let mut last = [0; 10];
                last.copy_from_slice(&blake3::derive_key(ID_CONTEXT, digest.as_bytes())[..10]);
                (LicenseId::derived(line.created_at.map_or(now, |time| time.0), last), false)
            }
            (None, None) => {
                let why = "a license needs a key or an id, so that it is imported once";
                return Err(ImportLineError::new(why).into());
            }
        };
        if let Some(line) = self.ids.get(&id) {
            return Err(same_as(*line, "id").into());
        }
        if let Some(line) = digest.and_then(|digest| self.keys.get(&digest)) {
            return Err(same_as(*line, "key").into());
        }
        let key = context.seal_key(key, &id).map_err(ServiceError::from)?;
        let ImportOptions { over_limit, events, .. } = self.options;
        let rules = Rules { plans: &context.plans, now, over_limit, events };
        let license = validate_row((id, id_given), key, line, activations, &rules)
            .map_err(|(at, fault)| LineFault::Line(at, fault))?;
        self.ids.insert(license.license.id.clone(), number);
        self.keys.insert(license.license.key_digest, number);
        Ok(license)
    }

    /// Returns the key given in a line.
    fn key(&mut self, number: u64, line: &LicenseLine) -> Result<Option<LicenseKey>, LineFault> {
        let why = "it was altered, or sealed for another license or with another secret";
        let unopened = || LineFault::from(ImportLineError::field("sealed_key", why));
        let (sealed, id) = match (&line.key, &line.sealed_key, &line.id) {
            (Some(key), ..) => return Ok(Some(self.read(key.as_str())?)),
            (None, None, _) => return Ok(None),
            (None, Some(sealed), id) => (sealed, id.as_ref().ok_or_else(unopened)?),
        };
        let opened = match self.service.context.export_seal.open(sealed, id.as_str()) {
            Ok(opened) => opened,
            Err(_) if self.has_opened_a_key => return Err(unopened()),
            Err(_) => return Err(ServiceError::OtherSecret { line: number }.into()),
        };
        self.has_opened_a_key = true;
        // A key with another prefix was issued by the exporting database. Here it is an imported key.
        Ok(Some(self.read(opened.reveal())?))
    }

    fn read(&self, text: &str) -> Result<LicenseKey, ImportLineError> {
        let key = read_key(text, &self.service.context.key_format, || &self.formats);
        let other = "it is neither a key of this server nor in a declared key format";
        key.map_err(|error| {
            let mistyped = matches!(error, KeyError::Check { .. });
            ImportLineError::field("key", if mistyped { error.to_string() } else { other.to_owned() })
        })
    }

    /// Writes the collected licenses in one commit.
    async fn write_batch(&mut self) -> Result<(), ServiceError> {
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
                    let why = format!("there is another license {}", one.license.id);
                    self.reject(number, ImportLineError::new(why));
                }
                Imported::KeyTaken { by } => {
                    self.reject(number, ImportLineError::new(format!("the license {by} has this key")));
                }
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
    /// Returns [`ServiceError`] as [`line`](Self::line) does.
    pub async fn finish(&mut self) -> Result<ImportReport, ServiceError> {
        self.close().await?;
        self.write_rollups().await?;
        Ok(self.report)
    }
}

fn same_as(line: u64, what: &str) -> ImportLineError {
    ImportLineError::new(format!("line {line} has the same {what}"))
}

//! Lines as licenses: gathered, held to the rules, and kept many in one commit.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::admit::{Rules, admit};
use super::line::{ActivationLine, KeyLine, Line, is_of_activation};
use super::store::{ImportBatch, Imported, ImportedLicense, ImportedRollup};
use super::{ImportFault, LicenseLine, TransferError, TransferService, read_key};
use crate::audit::Actor;
use crate::key::{ForeignFormat, ForeignFormats, KeyDigest, LicenseKey, SealedKey};
use crate::license::LicenseId;
use crate::limits;
use crate::usage::{Day, Rollup, RollupKey, UsageSum};

/// Licenses of one commit.
const BATCH: usize = 1_000;
/// Activations of one commit, unless one license has more.
const BATCH_ACTIVATIONS: usize = 20_000;
/// Rollups of one commit.
const BATCH_ROLLUPS: usize = 5_000;
/// What ids are derived by that lines don't give.
const ID_CONTEXT: &str = "license-core 2026 imported license id v1";

/// How to import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Finds the same faults, and writes nothing.
    pub dry_run: bool,
    /// Tells of each license with the event `license.imported`; otherwise of none, so that no receiver of webhooks is flooded.
    pub events: bool,
    /// Keeps licenses that hold more slots than they may have, as a lowered limit leaves them behind; otherwise they are refused.
    pub over_limit: bool,
    /// Forms of keys of other systems, beside those that the database knows or the lines declare.
    pub key_formats: Vec<ForeignFormat>,
    /// Who imports, for the audit.
    pub by: Option<Arc<Actor>>,
}

/// What an import did, or a dry run would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Licenses that are new.
    pub imported: u64,
    /// Their activations.
    pub activations: u64,
    /// Rollups that are new. Those that were there are left as they are, and not counted.
    pub rollups: u64,
    /// Licenses that were there, and are left as they are.
    pub there: u64,
    /// Licenses that are refused, with all that belongs to them; other lines that are refused count as well.
    pub refused: u64,
}

/// An import under way. Give it all lines or rows in order, then [`finish`](Self::finish).
///
/// A license is imported with all its activations or not at all, and others whatever becomes of it. Its memory grows by some
/// 200 bytes a license: ids and keys of the lines before are remembered, so that a dry run finds what stands twice.
pub struct Importer<'a> {
    service: &'a TransferService,
    formats: ForeignFormats,
    options: ImportOptions,
    open: Open,
    batch: Vec<Admitted>,
    batch_activations: usize,
    rollups: BTreeMap<RollupKey, (u64, UsageSum)>,
    ids: HashMap<LicenseId, u64>,
    keys: HashMap<KeyDigest, u64>,
    opened: bool,
    report: ImportReport,
    faults: Vec<(u64, ImportFault)>,
}

impl fmt::Debug for Importer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, report, .. } = self;
        f.debug_struct("Importer").field("options", options).field("report", report).finish_non_exhaustive()
    }
}

/// The license whose lines are read.
enum Open {
    None,
    License {
        number: u64,
        line: Box<LicenseLine>,
        activations: Vec<(u64, ActivationLine)>,
    },
    /// It is refused, and what follows of it goes with it.
    Refused,
}

struct Admitted {
    number: u64,
    license: ImportedLicense,
}

impl<'a> Importer<'a> {
    pub(super) fn new(service: &'a TransferService, formats: ForeignFormats, options: ImportOptions) -> Self {
        Self {
            service,
            formats,
            options,
            open: Open::None,
            batch: Vec::new(),
            batch_activations: 0,
            rollups: BTreeMap::new(),
            ids: HashMap::new(),
            keys: HashMap::new(),
            opened: false,
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

    async fn declare(&mut self, format: ForeignFormat) -> Result<(), TransferError> {
        self.formats = std::mem::take(&mut self.formats).with(format.clone())?;
        if self.options.dry_run { Ok(()) } else { self.service.declare(&format).await }
    }

    /// The next line of JSON, the one with that number. An empty one is none.
    ///
    /// # Errors
    /// [`TransferError`]; a line that is refused is no error, but among the [faults](Self::take_faults).
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
            // Without one of its activations the license is not as it was: it goes as a whole.
            Err(fault) if is_of_activation(line) => {
                if !matches!(self.open, Open::Refused) {
                    self.refuse(number, fault);
                    self.open = Open::Refused;
                }
                Ok(())
            }
            Err(fault) => self.license(number, Err(fault)).await,
        }
    }

    /// The next license, as a row of a table has it, the one with that number.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub async fn row(
        &mut self,
        number: u64,
        row: Result<LicenseLine, ImportFault>,
    ) -> Result<(), TransferError> {
        self.license(number, row.map(Box::new)).await
    }

    async fn license(
        &mut self,
        number: u64,
        line: Result<Box<LicenseLine>, ImportFault>,
    ) -> Result<(), TransferError> {
        self.close().await?;
        match line {
            Ok(line) => self.open = Open::License { number, line, activations: Vec::new() },
            Err(fault) => {
                self.refuse(number, fault);
                self.open = Open::Refused;
            }
        }
        Ok(())
    }

    fn activation(&mut self, number: u64, line: ActivationLine) {
        let fault = match &mut self.open {
            Open::Refused => return,
            Open::None => ImportFault::Stray,
            Open::License { line: license, activations, .. } => match &license.id {
                Some(id) if *id == line.license && activations.len() < limits::IMPORT_ACTIVATIONS => {
                    activations.push((number, line));
                    return;
                }
                Some(id) if *id == line.license => ImportFault::TooManyActivations,
                _ => ImportFault::Stray,
            },
        };
        // One that is of no license here leaves the license before it whole.
        if fault == ImportFault::TooManyActivations {
            self.open = Open::Refused;
        }
        self.refuse(number, fault);
    }

    async fn rollup(&mut self, number: u64, rollup: Rollup) -> Result<(), TransferError> {
        self.close().await?;
        let Rollup { key, sum } = rollup;
        // A clock may be ahead, but not by more than a day.
        if key.day.number() > Day::of(self.service.clock.now()).number() + 1 {
            self.refuse(number, ImportFault::field("day", "it has not come yet"));
            return Ok(());
        }
        match self.rollups.entry(key) {
            Entry::Occupied(before) => {
                let line = before.get().0;
                self.refuse(number, ImportFault::Twice { line, what: "day, license and the like" });
            }
            Entry::Vacant(place) => {
                place.insert((number, sum));
            }
        }
        if self.rollups.len() >= BATCH_ROLLUPS { self.keep_rollups().await } else { Ok(()) }
    }

    /// Keeps the rollups that are gathered, behind the licenses they may be of.
    async fn keep_rollups(&mut self) -> Result<(), TransferError> {
        self.keep().await?;
        if self.rollups.is_empty() {
            return Ok(());
        }
        let gathered = std::mem::take(&mut self.rollups);
        let (numbers, rollups): (Vec<_>, Vec<_>) =
            gathered.into_iter().map(|(key, (number, sum))| (number, Rollup { key, sum })).unzip();
        let store = &self.service.store;
        let settled = if self.options.dry_run {
            store.foresee_rollups(&rollups).await?
        } else {
            store.import_rollups(&rollups).await?
        };
        for ((number, rollup), settled) in numbers.into_iter().zip(rollups).zip(settled) {
            let id = rollup.key.license_id;
            match settled {
                // In a dry run the license of a line before is not there yet.
                ImportedRollup::NoLicense if !(self.options.dry_run && self.ids.contains_key(&id)) => {
                    self.refuse(number, ImportFault::NoLicense { id });
                }
                ImportedRollup::New | ImportedRollup::NoLicense => self.report.rollups += 1,
                ImportedRollup::Gone => self.refuse(number, ImportFault::Gone),
                ImportedRollup::There => {}
            }
        }
        Ok(())
    }

    fn refuse(&mut self, number: u64, fault: ImportFault) {
        self.report.refused += 1;
        self.faults.push((number, fault));
    }

    /// Decides on the license whose lines were read.
    async fn close(&mut self) -> Result<(), TransferError> {
        let Open::License { number, line, activations } = std::mem::replace(&mut self.open, Open::None)
        else {
            return Ok(());
        };
        match self.admit(number, *line, activations)? {
            Ok(license) => {
                self.batch_activations += license.activations.len();
                self.batch.push(Admitted { number, license });
                if self.batch.len() >= BATCH || self.batch_activations >= BATCH_ACTIVATIONS {
                    self.keep().await?;
                }
            }
            Err((at, fault)) => self.refuse(at, fault),
        }
        Ok(())
    }

    fn admit(
        &mut self,
        number: u64,
        line: LicenseLine,
        activations: Vec<(u64, ActivationLine)>,
    ) -> Result<Result<ImportedLicense, (u64, ImportFault)>, TransferError> {
        let now = self.service.clock.now();
        let key = match self.key(number, &line)? {
            Ok(key) => key,
            Err(fault) => return Ok(Err((number, fault))),
        };
        let digest = key.as_ref().map(|key| self.service.vault.digest(key));
        let (id, id_given) = match (&line.id, &digest) {
            (Some(id), _) => (id.clone(), true),
            (None, Some(digest)) => {
                let mut last = [0; 10];
                last.copy_from_slice(&blake3::derive_key(ID_CONTEXT, digest.as_bytes())[..10]);
                (LicenseId::derived(line.created_at.unwrap_or(now), last), false)
            }
            (None, None) => return Ok(Err((number, ImportFault::Nameless))),
        };
        let twice = self.ids.get(&id).map(|line| (*line, "id"));
        let twice =
            twice.or_else(|| digest.and_then(|digest| self.keys.get(&digest)).map(|line| (*line, "key")));
        if let Some((line, what)) = twice {
            return Ok(Err((number, ImportFault::Twice { line, what })));
        }
        let key = self.sealed(key, &id)?;
        let Self { service, options, .. } = self;
        let ImportOptions { over_limit, events, .. } = *options;
        let rules = Rules { plans: &service.plans, now, over_limit, events };
        Ok(match admit((id, id_given), key, line, activations, &rules) {
            Ok(license) => {
                self.ids.insert(license.license.id.clone(), number);
                self.keys.insert(license.license.key_digest, number);
                Ok(license)
            }
            Err((at, fault)) => Err((at.unwrap_or(number), fault)),
        })
    }

    /// The key of a line.
    fn key(
        &mut self,
        number: u64,
        line: &LicenseLine,
    ) -> Result<Result<Option<LicenseKey>, ImportFault>, TransferError> {
        let opened = match (&line.key, &line.id) {
            (None, _) => return Ok(Ok(None)),
            (Some(KeyLine::Clear(text)), _) => return Ok(self.read(text).map(Some)),
            (Some(KeyLine::Sealed(_)), None) => return Ok(Err(ImportFault::Sealed)),
            (Some(KeyLine::Sealed(sealed)), Some(id)) => {
                match self.service.export_seal.open(sealed, id.as_str()) {
                    Ok(opened) => opened,
                    Err(_) if self.opened => return Ok(Err(ImportFault::Sealed)),
                    Err(_) => return Err(TransferError::OtherSecret { line: number }),
                }
            }
        };
        self.opened = true;
        // One of another prefix was the other database's own, and is one of another system here.
        Ok(self.read(opened.reveal()).map(Some))
    }

    fn read(&self, text: &str) -> Result<LicenseKey, ImportFault> {
        let mut foreign = false;
        let key = read_key(text, &self.service.key_format, || {
            foreign = true;
            self.formats.read(text)
        });
        key.map_err(|error| if foreign { ImportFault::KeyForm } else { ImportFault::Key(error) })
    }

    /// The digest and the sealed form of a key; of a new one if the line has none.
    fn sealed(
        &self,
        given: Option<LicenseKey>,
        id: &LicenseId,
    ) -> Result<(KeyDigest, SealedKey), TransferError> {
        let TransferService { vault, key_format, .. } = self.service;
        let sealed = self.service.with_rng(|rng| {
            let key = given.map_or_else(|| key_format.generate(rng), Ok)?;
            Ok((vault.digest(&key), vault.seal(&key, id.as_str(), rng)?))
        });
        Ok(sealed?)
    }

    /// Keeps what is gathered, in one commit.
    async fn keep(&mut self) -> Result<(), TransferError> {
        self.batch_activations = 0;
        if self.batch.is_empty() {
            return Ok(());
        }
        let admitted = std::mem::take(&mut self.batch);
        let (numbers, licenses): (Vec<_>, Vec<_>) =
            admitted.into_iter().map(|Admitted { number, license }| (number, license)).unzip();
        let batch = ImportBatch { licenses, at: self.service.clock.now(), by: self.options.by.clone() };
        let store = &self.service.store;
        let settled =
            if self.options.dry_run { store.foresee(&batch).await? } else { store.import(&batch).await? };
        for ((number, one), settled) in numbers.into_iter().zip(&batch.licenses).zip(settled) {
            match settled {
                Imported::New => {
                    self.report.imported += 1;
                    self.report.activations += one.activations.len() as u64;
                }
                Imported::There => self.report.there += 1,
                Imported::IdTaken => {
                    self.refuse(number, ImportFault::IdTaken { id: one.license.id.clone() });
                }
                Imported::KeyTaken { by } => self.refuse(number, ImportFault::KeyTaken { by }),
            }
        }
        Ok(())
    }

    /// The faults that were found since the last call: the numbers of their lines, and what is wrong with them.
    pub fn take_faults(&mut self) -> Vec<(u64, ImportFault)> {
        std::mem::take(&mut self.faults)
    }

    /// What was done until now.
    #[must_use]
    pub fn report(&self) -> ImportReport {
        self.report
    }

    /// Keeps what is left.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub async fn finish(&mut self) -> Result<ImportReport, TransferError> {
        self.close().await?;
        self.keep_rollups().await?;
        Ok(self.report)
    }
}

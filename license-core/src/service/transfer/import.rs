//! Imports licenses from lines: collects, validates, and writes them in batches.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use self::key_reader::KeyReader;
use self::licenses::Collected;
pub use self::options::{ImportOptions, ImportReport};
use super::TransferService;
use crate::catalog::PlanCatalog;
use crate::catalog_command::CatalogCommand;
use crate::debug::partial_debug;
use crate::error::ServiceError;
use crate::key::{ImportedKeyFormat, ImportedKeyFormats, KeyDigest};
use crate::license::{ExternalId, Lease, LicenseId};
use crate::limits;
use crate::transfer::line::{ActivationLine, Line, is_of_part};
use crate::transfer::{ImportLineError, ImportNote, LicenseLine};
use crate::trial::TrialDigest;
use crate::usage::{RollupKey, UsageSum};

mod catalog;
mod key_reader;
mod licenses;
mod options;
mod rollups;
mod trial_claims;

/// Licenses per commit.
const BATCH: usize = 1_000;
/// Activations and leases per commit, unless one license has more.
const BATCH_ACTIVATIONS: usize = 20_000;
/// Reported errors of keys in no known format. An undeclared format makes every line invalid.
const REPORTED_UNREADABLE_KEYS: u64 = 10;
/// An import in progress. Pass all lines or rows in order, then call [`finish`](Self::finish).
///
/// A license is imported with all its activations and leases or not at all. Memory grows by about 200 bytes
/// per license, since the ids and keys of earlier lines are remembered to detect duplicates.
pub struct Importer<'a> {
    service: &'a TransferService,
    keys: KeyReader,
    options: ImportOptions,
    current: CurrentLicense,
    batch: Vec<Collected>,
    batch_activations: usize,
    rollups: BTreeMap<RollupKey, (u64, UsageSum)>,
    trial_claims: BTreeMap<TrialDigest, LicenseId>,
    /// Whether the lines are of an export, which has the trial claims of its licenses.
    is_export: bool,
    lines_of_ids: HashMap<LicenseId, u64>,
    lines_of_keys: HashMap<KeyDigest, u64>,
    lines_of_external_ids: HashMap<ExternalId, u64>,
    /// The catalog after the lines so far.
    plans: Arc<PlanCatalog>,
    /// Plan versions of lines that were rejected.
    rejected_plans: HashSet<(String, u32)>,
    report: ImportReport,
    faults: Vec<(u64, ImportLineError)>,
    notes: Vec<(u64, ImportNote)>,
}

partial_debug!(Importer<'_> { options, report });

/// The license whose lines are being read.
enum CurrentLicense {
    None,
    License {
        number: u64,
        line: Box<LicenseLine>,
        activations: Vec<(u64, ActivationLine)>,
        leases: Vec<(u64, Lease)>,
    },
    /// Rejected, together with its following lines of activations and leases.
    Rejected,
}

/// A line of the license before it.
enum Part {
    Activation(ActivationLine),
    Lease(Lease),
}

impl Part {
    fn license(&self) -> &LicenseId {
        match self {
            Self::Activation(activation) => &activation.license,
            Self::Lease(lease) => &lease.license_id,
        }
    }
}

/// The reason why a license is not imported.
enum LineFault {
    /// A line is rejected; `None` is the line of the license.
    Line(Option<u64>, ImportLineError),
    /// The key is in no known format.
    UnreadableKey,
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
        plans: Arc<PlanCatalog>,
        options: ImportOptions,
    ) -> Self {
        Self {
            service,
            plans,
            rejected_plans: HashSet::new(),
            keys: KeyReader::new(formats),
            options,
            current: CurrentLicense::None,
            batch: Vec::new(),
            batch_activations: 0,
            rollups: BTreeMap::new(),
            trial_claims: BTreeMap::new(),
            is_export: false,
            lines_of_ids: HashMap::new(),
            lines_of_keys: HashMap::new(),
            lines_of_external_ids: HashMap::new(),
            report: ImportReport::default(),
            faults: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) async fn declare_given(&mut self) -> Result<(), ServiceError> {
        for format in std::mem::take(&mut self.options.key_formats) {
            self.declare(format).await?;
        }
        Ok(())
    }

    async fn declare(&mut self, format: ImportedKeyFormat) -> Result<(), ServiceError> {
        self.keys.formats = std::mem::take(&mut self.keys.formats).with(format.clone())?;
        if self.options.dry_run {
            Ok(())
        } else {
            self.service.declare(&format, self.options.by.as_deref()).await
        }
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
            Ok(Line::Export) => {
                self.is_export = true;
                self.close().await
            }
            Ok(Line::KeyFormat(format)) => {
                self.close().await?;
                self.declare(format).await
            }
            Ok(Line::Product(product)) => {
                self.catalog_line(number, CatalogCommand::ImportProduct(product)).await
            }
            Ok(Line::Plan(plan)) => self.catalog_line(number, CatalogCommand::ImportPlan(*plan)).await,
            Ok(Line::Rollup(rollup)) => self.rollup(number, *rollup).await,
            Ok(Line::TrialKey(key)) => self.trial_key(number, &key).await,
            Ok(Line::TrialClaim(claim)) => self.trial_claim(claim).await,
            Ok(Line::License(license)) => self.license(number, Ok(license)).await,
            Ok(Line::Activation(activation)) => {
                self.part(number, Part::Activation(activation));
                Ok(())
            }
            Ok(Line::Lease(lease)) => {
                self.part(number, Part::Lease(*lease));
                Ok(())
            }
            // A license without one of its parts would be incomplete, so all of it is rejected.
            Err(fault) if is_of_part(line) => {
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
        self.provide_plans().await?;
        match line {
            Ok(line) => {
                self.current =
                    CurrentLicense::License { number, line, activations: Vec::new(), leases: Vec::new() }
            }
            Err(fault) => {
                self.reject(number, fault);
                self.current = CurrentLicense::Rejected;
            }
        }
        Ok(())
    }

    fn part(&mut self, number: u64, part: Part) {
        let fault = match &mut self.current {
            CurrentLicense::Rejected => return,
            CurrentLicense::License { line, activations, leases, .. }
                if line.id.as_ref() == Some(part.license()) =>
            {
                if activations.len() + leases.len() < limits::IMPORT_ACTIVATIONS {
                    match part {
                        Part::Activation(activation) => activations.push((number, activation)),
                        Part::Lease(lease) => leases.push((number, lease)),
                    }
                    return;
                }
                self.current = CurrentLicense::Rejected;
                ImportLineError::too_many_activations()
            }
            // A stray line does not affect the license before it.
            CurrentLicense::License { .. } | CurrentLicense::None => {
                let why = "it must follow the line of its license, or an activation or lease of it";
                ImportLineError::value("license", &part.license().as_str().into(), why)
            }
        };
        self.reject(number, fault);
    }

    fn reject(&mut self, number: u64, fault: ImportLineError) {
        self.report.refused += 1;
        self.faults.push((number, fault));
    }

    /// Validates the license whose lines are complete.
    async fn close(&mut self) -> Result<(), ServiceError> {
        let CurrentLicense::License { number, line, activations, leases } =
            std::mem::replace(&mut self.current, CurrentLicense::None)
        else {
            return Ok(());
        };
        match self.validate(number, *line, activations, leases) {
            Ok((license, notes)) => {
                self.batch_activations += license.activations.len() + license.leases.len();
                self.batch.push(Collected { number, license, notes });
                if self.batch.len() >= BATCH || self.batch_activations >= BATCH_ACTIVATIONS {
                    self.write_batch().await?;
                }
            }
            Err(LineFault::Line(at, fault)) => self.reject(at.unwrap_or(number), fault),
            Err(LineFault::UnreadableKey) => {
                self.report.unreadable_keys += 1;
                if self.report.unreadable_keys <= REPORTED_UNREADABLE_KEYS {
                    let why =
                        "it is not a key of this server, nor in a declared key format; declare its format";
                    self.reject(number, ImportLineError::field("key", why));
                } else {
                    self.report.refused += 1;
                }
            }
            Err(LineFault::Import(error)) => return Err(error),
        }
        Ok(())
    }

    /// Returns the rejected lines since the last call: their numbers and errors.
    pub fn take_faults(&mut self) -> Vec<(u64, ImportLineError)> {
        std::mem::take(&mut self.faults)
    }

    /// Returns the remarks on new licenses since the last call, with their lines.
    pub fn take_notes(&mut self) -> Vec<(u64, ImportNote)> {
        std::mem::take(&mut self.notes)
    }

    /// Returns the formats of imported keys that are known so far.
    #[must_use]
    pub fn key_formats(&self) -> &ImportedKeyFormats {
        &self.keys.formats
    }

    /// Proposes the pattern of a key format for the keys that no format matched, if there are any.
    #[must_use]
    pub fn proposed_pattern(&self) -> Option<String> {
        self.keys.unreadable.pattern()
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn report(&self) -> ImportReport {
        self.report
    }

    /// Writes the remaining licenses, rollups and trial claims.
    ///
    /// # Errors
    /// Returns [`ServiceError`] as [`line`](Self::line) does.
    pub async fn finish(&mut self) -> Result<ImportReport, ServiceError> {
        self.close().await?;
        self.write_rollups().await?;
        self.write_trial_claims().await?;
        Ok(self.report)
    }
}

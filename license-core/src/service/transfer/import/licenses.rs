//! Licenses of an import.

use super::options::ImportOptions;
use super::{Importer, LineFault};
use crate::error::ServiceError;
use crate::license::{Lease, License, LicenseId};
use crate::transfer::line::ActivationLine;
use crate::transfer::trial_claims::claims_of;
use crate::transfer::validate_row::{Rules, validate_row};
use crate::transfer::{ImportBatch, ImportLineError, ImportNote, Imported, ImportedLicense, LicenseLine};

/// Context to derive the ids of lines without one.
const ID_CONTEXT: &str = "license-core 2026 imported license id v1";

/// A license that waits for its commit.
pub(super) struct Collected {
    pub(super) number: u64,
    pub(super) license: ImportedLicense,
    pub(super) notes: Vec<ImportNote>,
}

impl Importer<'_> {
    /// Builds the license of a line, and of its activations and leases.
    pub(super) fn validate(
        &mut self,
        number: u64,
        line: LicenseLine,
        activations: Vec<(u64, ActivationLine)>,
        leases: Vec<(u64, Lease)>,
    ) -> Result<(ImportedLicense, Vec<ImportNote>), LineFault> {
        let context = &self.service.context;
        let now = context.now();
        let key = self.keys.key(number, &line, context)?;
        let digest = key.as_ref().map(|key| context.vault.digest(key));
        let (id, id_given) = match (&line.id, &digest) {
            (Some(id), _) => (id.clone(), true),
            (None, Some(digest)) => {
                let mut last = [0; 10];
                last.copy_from_slice(&blake3::derive_key(ID_CONTEXT, digest.as_bytes())[..10]);
                (LicenseId::derived(line.created_at.map_or(now, |time| time.0), last), false)
            }
            (None, None) => {
                let why = "the line needs a key or an id, so that a repeated import finds the license";
                return Err(ImportLineError::new(why).into());
            }
        };
        if let Some(line) = digest.and_then(|digest| self.lines_of_keys.get(&digest)) {
            return Err(ImportLineError::same_as(*line, "key").into());
        }
        if let Some(line) = self.lines_of_ids.get(&id) {
            return Err(ImportLineError::same_as(*line, "id").into());
        }
        if let Some(line) = line.external_id.as_ref().and_then(|one| self.lines_of_external_ids.get(one)) {
            return Err(ImportLineError::same_as(*line, "external_id").into());
        }
        let key = context.seal_key(key, &id).map_err(ServiceError::from)?;
        let ImportOptions { over_limit, events, .. } = self.options;
        if let Some(version) = line.plan_version
            && self.rejected_plans.contains(&(line.plan.clone(), version))
        {
            let why = "the line of this plan version was rejected";
            return Err(ImportLineError::value("plan_version", &version.into(), why).into());
        }
        let rules = Rules { plans: &self.plans, now, over_limit, events };
        let (mut license, notes) = validate_row((id, id_given), key, line, activations, leases, &rules)
            .map_err(|(at, fault)| LineFault::Line(at, fault))?;
        let License { plan, plan_version, .. } = &license.license;
        if !self.is_export
            && let Some(plan) = self.plans.version(plan, *plan_version)
        {
            license.trial_claims = claims_of(&license, plan, &context.trial_keys());
        }
        self.lines_of_ids.insert(license.license.id.clone(), number);
        self.lines_of_keys.insert(license.license.key_digest, number);
        if let Some(external_id) = &license.license.external_id {
            self.lines_of_external_ids.insert(external_id.clone(), number);
        }
        Ok((license, notes))
    }

    /// Writes the collected licenses in one commit.
    pub(super) async fn write_batch(&mut self) -> Result<(), ServiceError> {
        self.batch_activations = 0;
        if self.batch.is_empty() {
            return Ok(());
        }
        let (lines, licenses): (Vec<_>, Vec<_>) = std::mem::take(&mut self.batch)
            .into_iter()
            .map(|Collected { number, license, notes }| ((number, notes), license))
            .unzip();
        let batch = ImportBatch { licenses, at: self.service.context.now(), by: self.options.by.clone() };
        let settled = self.service.settle(&batch, self.options.dry_run).await?;
        for (((number, notes), one), settled) in lines.into_iter().zip(&batch.licenses).zip(settled) {
            match settled {
                Imported::New => {
                    self.report.imported += 1;
                    self.report.activations += one.activations.len() as u64;
                    self.notes.extend(notes.into_iter().map(|note| (number, note)));
                }
                Imported::Existing => self.report.existing += 1,
                Imported::IdTaken => {
                    let why =
                        "the database has this license with another key; remove the line or change its id";
                    self.reject(number, ImportLineError::value("id", &one.license.id.as_str().into(), why));
                }
                Imported::KeyTaken { by } => {
                    let why =
                        format!("the license {by} of the database has this key; remove the line or its id");
                    self.reject(number, ImportLineError::field("key", why));
                }
                Imported::ExternalIdTaken { by } => {
                    let why = format!(
                        "the license {by} of the database has this external id; remove it from the line"
                    );
                    self.reject(number, ImportLineError::field("external_id", why));
                }
            }
        }
        Ok(())
    }
}

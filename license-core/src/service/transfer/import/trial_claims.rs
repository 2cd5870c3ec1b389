//! Trial claims of an import, and the keys of their digests.

use super::Importer;
use crate::error::ServiceError;
use crate::transfer::TrialClaimBatch;
use crate::transfer::line::TrialKeyLine;
use crate::trial::TrialClaim;

/// Claims per commit.
const BATCH_CLAIMS: usize = 5_000;

impl Importer<'_> {
    /// Stores the trial key of the exporting database, so that trials that it claimed are used here too.
    pub(super) async fn trial_key(&mut self, number: u64, line: &TrialKeyLine) -> Result<(), ServiceError> {
        self.close().await?;
        let context = &self.service.context;
        let key = line
            .read_key(|sealed, id| context.export_seal.open_bytes(sealed, id)?.as_slice().try_into().ok());
        match key {
            Ok(key) if !self.options.dry_run => context.store_trial_key(&*self.service.store, &key).await,
            Ok(_) => Ok(()),
            Err(fault) => {
                self.reject(number, fault);
                Ok(())
            }
        }
    }

    pub(super) async fn trial_claim(&mut self, claim: TrialClaim) -> Result<(), ServiceError> {
        self.close().await?;
        // A repeated line changes nothing: the first claim of a digest stays.
        self.trial_claims.entry(claim.digest).or_insert(claim.license);
        if self.trial_claims.len() >= BATCH_CLAIMS { self.write_trial_claims().await } else { Ok(()) }
    }

    /// Writes the collected claims in one commit.
    pub(super) async fn write_trial_claims(&mut self) -> Result<(), ServiceError> {
        if self.trial_claims.is_empty() {
            return Ok(());
        }
        let claims = std::mem::take(&mut self.trial_claims).into_iter();
        let claims = claims.map(|(digest, license)| TrialClaim { digest, license }).collect();
        let batch = TrialClaimBatch { claims, at: self.service.context.now(), by: self.options.by.clone() };
        let store = &self.service.store;
        self.report.trial_claims += if self.options.dry_run {
            store.dry_run_trial_claims(&batch.claims).await?
        } else {
            store.import_trial_claims(&batch).await?
        };
        Ok(())
    }
}

//! Trial claims, written with the licenses and changes that they are of.

use license_core::transfer::TrialClaimBatch;
use license_core::trial::{TrialClaim, TrialDigest};

use super::prelude::*;
use super::rows::{hex, trial_claim_row};

impl<D: Dialect> SqlDatabase<D> {
    /// Returns the claims of these digests.
    pub(super) async fn find_trial_claims(
        &self,
        connection: &mut Connection<D>,
        digests: impl Iterator<Item = &TrialDigest>,
    ) -> Result<Vec<TrialClaim>> {
        let digests: Vec<_> = digests.map(|digest| hex(digest.as_bytes())).collect();
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        let values = values![json!(digests).to_string()];
        let rows = self.fetch(connection, &self.sql.trial_claims.find, values).await?;
        rows.all("trial_claims", "", Reader::trial_claim)
    }

    /// Adds the claims whose digests are not claimed. Returns the number added. If another transaction is adding
    /// one of them, waits for its end.
    pub(super) async fn insert_trial_claims(
        &self,
        tx: &mut Tx<D>,
        claims: impl Iterator<Item = &TrialClaim>,
    ) -> Result<usize> {
        let mut claims: Vec<_> = claims.collect();
        // Transactions with the same claims wait for each other in one order, without a deadlock.
        claims.sort_unstable();
        let rows = claims.into_iter().map(trial_claim_row).collect();
        self.insert_rows(tx, &self.sql.trial_claims.insert, rows).await
    }

    pub(super) async fn try_import_trial_claims(&self, batch: &TrialClaimBatch) -> Result<u64> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let new = self.insert_trial_claims(&mut tx, batch.claims.iter()).await? as u64;
        if let Some(audit) = batch.audit(new) {
            self.insert_audit(&mut tx, &audit).await?;
        }
        self.commit(tx).await?;
        Ok(new)
    }
}

//! Broken exports and imports.

use license_core::transfer::{
    ImportBatch, Imported, ImportedLicense, ImportedRollup, Snapshot, TransferStore,
};
use license_core::usage::{Rollup, RollupKey};

use super::*;
use crate::conformance::TransferHarness;

#[async_trait]
impl TransferStore for Broken {
    async fn import(&self, batch: &ImportBatch) -> Result<Vec<Imported>, StoreError> {
        let mut batch = batch.clone();
        match self.fault {
            Fault::ImportsInTwoSteps => {
                let settled = self.inner.foresee(&batch).await?;
                self.gap().await;
                let mut data = self.data();
                for new in batch.new_ones(&settled) {
                    data.import(new, batch.at);
                }
                return Ok(settled);
            }
            Fault::ImportsOverWhatIsThere => {
                let settled = self.inner.import(&batch).await?;
                let mut data = self.data();
                for (one, settled) in batch.licenses.iter().zip(&settled) {
                    if *settled == Imported::There && data.licenses.contains_key(&one.license.id) {
                        data.import(one, batch.at);
                    }
                }
                return Ok(settled);
            }
            Fault::ImportsWithoutCounters => {
                for ImportedLicense { counters, .. } in &mut batch.licenses {
                    *counters = Counters::default();
                }
            }
            Fault::AuditsWhatIsThere => {
                let settled = self.inner.import(&ImportBatch { by: None, ..batch.clone() }).await?;
                let all = vec![Imported::New; settled.len()];
                if let Some(audit) = batch.audit(&all) {
                    self.data().access.add(&audit);
                }
                return Ok(settled);
            }
            _ => {}
        }
        self.inner.import(&batch).await
    }

    async fn foresee(&self, batch: &ImportBatch) -> Result<Vec<Imported>, StoreError> {
        if self.fault == Fault::WritesADryRun {
            return self.inner.import(batch).await;
        }
        self.inner.foresee(batch).await
    }

    async fn import_rollups(&self, rollups: &[Rollup]) -> Result<Vec<ImportedRollup>, StoreError> {
        if self.fault == Fault::ImportsRollupsTwice {
            let settled = self.inner.foresee_rollups(rollups).await?;
            for (rollup, _) in
                rollups.iter().zip(&settled).filter(|(_, one)| **one != ImportedRollup::NoLicense)
            {
                self.data().usage.add(rollup);
            }
            return Ok(settled);
        }
        self.inner.import_rollups(rollups).await
    }

    async fn foresee_rollups(&self, rollups: &[Rollup]) -> Result<Vec<ImportedRollup>, StoreError> {
        self.inner.foresee_rollups(rollups).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        if self.fault == Fault::ReadsSnapshotsAsTheyCome {
            return Ok(Box::new(Live(self.inner.clone())));
        }
        self.inner.snapshot().await
    }

    async fn kept_under(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.inner.kept_under(prefix).await
    }
}

/// Each read is of its own moment.
struct Live(MemoryStore);

#[async_trait]
impl Snapshot for Live {
    async fn licenses(
        &mut self,
        after: Option<&LicenseId>,
        limit: u32,
    ) -> Result<Vec<(Arc<License>, Counters)>, StoreError> {
        self.0.snapshot().await?.licenses(after, limit).await
    }

    async fn activations(
        &mut self,
        after: Option<(&LicenseId, &ActivationId)>,
        limit: u32,
    ) -> Result<Vec<(LicenseId, ActivationDetail)>, StoreError> {
        self.0.snapshot().await?.activations(after, limit).await
    }

    async fn rollups(&mut self, after: Option<&RollupKey>, limit: u32) -> Result<Vec<Rollup>, StoreError> {
        self.0.snapshot().await?.rollups(after, limit).await
    }
}

#[async_trait]
impl TransferHarness for BrokenHarness {
    async fn open_transfer(&self) -> (Arc<dyn TransferStore>, Arc<dyn license_core::audit::AccessStore>) {
        (Arc::new(self.handle()), Arc::new(self.inner.clone()))
    }
}

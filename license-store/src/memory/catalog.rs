//! Implements `CatalogStore`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::catalog::PlanCatalog;
use license_core::catalog_command::{
    CatalogCommand, CatalogContext, CatalogDecision, CatalogOutcome, decide_catalog,
};
use license_core::store::{CatalogStore, ChangeNotice, LicenseCount, StoreError};

use super::store::MemoryStore;
use crate::Result;

#[async_trait]
impl CatalogStore for MemoryStore {
    async fn load_catalog(&self, known: u64) -> Result<Option<PlanCatalog>> {
        let catalog = Arc::clone(&self.data().catalog);
        Ok((catalog.revision() != known).then(|| (*catalog).clone()))
    }

    async fn execute_catalog(
        &self,
        command: &CatalogCommand,
        context: &CatalogContext,
    ) -> Result<CatalogOutcome> {
        let mut data = self.data();
        let before = Arc::clone(&data.catalog);
        let CatalogDecision { outcome, changes } = decide_catalog(before, command, context);
        if let Some(changes) = changes {
            if changes.job.as_ref().is_some_and(|job| data.jobs.contains_key(&job.id)) {
                return Err(StoreError::AlreadyExists { what: "the job id" });
            }
            data.catalog = changes.catalog;
            data.audit.extend(&changes.audit);
            if let Some(job) = &changes.job {
                let licenses = data.of_older_versions(&job.action);
                data.insert_job(job, licenses)?;
            }
            self.feed.notify(ChangeNotice::CatalogChanged);
        }
        Ok(outcome)
    }

    async fn count_licenses(&self, now: DateTime<Utc>) -> Result<Vec<LicenseCount>> {
        let mut counts = BTreeMap::new();
        for entry in self.data().licenses.values() {
            let license = entry.record.license();
            *counts.entry((license.plan.clone(), license.status(now))).or_default() += 1;
        }
        let count = |((plan, status), count)| LicenseCount { plan, status, count };
        Ok(counts.into_iter().map(count).collect())
    }
}

//! Implements `CatalogStore`.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::catalog::{PlanCatalog, PlanEntry, PlanVersion};
use license_core::catalog_command::{
    CatalogChanges, CatalogCommand, CatalogContext, CatalogDecision, CatalogOutcome, decide_catalog,
};
use license_core::license::{LicenseState, Status};
use license_core::store::{CatalogStore, ChangeNotice, LicenseCount};

use super::prelude::*;
use super::rows::{plan_values, plan_version_values, product_values};
use super::store::SqlStore;

impl<D: Dialect> SqlDatabase<D> {
    /// Reads the whole catalog, in one snapshot or under its lock.
    async fn read_catalog(&self, connection: &mut Connection<D>, revision: u64) -> Result<PlanCatalog> {
        let sql = &self.sql.catalog;
        let products = self.fetch(connection, &sql.products, &[]).await?;
        let products = products.all("products", "", Reader::product)?;
        let rows = self.fetch(connection, &sql.versions, &[]).await?;
        let mut versions: HashMap<String, Vec<PlanVersion>> = HashMap::new();
        for (plan, version) in rows.all("plan_versions", "", Reader::plan_version)? {
            versions.entry(plan).or_default().push(version);
        }
        let rows = self.fetch(connection, &sql.plans, &[]).await?;
        let plans = rows.all("plans", "", |row| {
            let plan = row.plan()?;
            let versions = versions.remove(&plan.name).unwrap_or_default();
            if versions.is_empty() {
                return Err(row.corrupt("name", format!("the plan {:?} has no versions", plan.name)));
            }
            Ok(PlanEntry { versions, ..plan })
        })?;
        Ok(PlanCatalog::from_stored(revision, products, plans))
    }

    async fn try_load_catalog(&self, known: u64) -> Result<Option<PlanCatalog>> {
        let mut tx = self.begin_read().await?;
        let revision = self.fetch(&mut tx, &self.sql.catalog.revision, &[]).await?;
        let revision = revision.count("catalog", "revision")?;
        if revision == known {
            return Ok(None);
        }
        self.read_catalog(&mut tx, revision).await.map(Some)
    }

    async fn try_execute_catalog(
        &self,
        command: &CatalogCommand,
        context: &CatalogContext,
    ) -> Result<CatalogOutcome> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let revision = self.fetch(&mut tx, &self.sql.catalog.lock, &[]).await?;
        let revision = revision.count("catalog", "revision")?;
        let before = self.read_catalog(&mut tx, revision).await?;
        let CatalogDecision { outcome, changes } = decide_catalog(Arc::new(before), command, context);
        let Some(changes) = changes else { return Ok(outcome) };
        self.write_catalog(&mut tx, &changes).await?;
        self.commit_and_notify(tx, vec![ChangeNotice::CatalogChanged]).await?;
        Ok(outcome)
    }

    async fn write_catalog(&self, tx: &mut Tx<D>, changes: &CatalogChanges) -> Result<()> {
        let CatalogChanges { catalog, products, deleted_product, plans, versions, audit, job } = changes;
        let sql = &self.sql.catalog;
        self.fetch(tx, &sql.set_revision, values![int(catalog.revision())]).await?;
        for product in products {
            self.fetch(tx, &sql.put_product, &product_values(product)).await?;
        }
        if let Some(name) = deleted_product {
            self.fetch(tx, &sql.delete_product, values![name.as_str()]).await?;
        }
        for plan in plans {
            self.fetch(tx, &sql.put_plan, &plan_values(plan)).await?;
        }
        for version in versions {
            self.fetch(tx, &sql.insert_version, &plan_version_values(version)).await?;
        }
        for entry in audit {
            self.insert_audit(tx, entry).await?;
        }
        if let Some(job) = job {
            self.create_plan_job(tx, job).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl<D: Dialect> CatalogStore for SqlStore<D> {
    async fn load_catalog(&self, known: u64) -> Result<Option<PlanCatalog>> {
        self.database.try_load_catalog(known).await
    }

    async fn execute_catalog(
        &self,
        command: &CatalogCommand,
        context: &CatalogContext,
    ) -> Result<CatalogOutcome> {
        retry(|| self.database.try_execute_catalog(command, context)).await
    }

    async fn count_licenses(&self, now: DateTime<Utc>) -> Result<Vec<LicenseCount>> {
        let values = values![now.timestamp_micros()];
        let rows = self.database.list(&self.database.sql.licenses.count, values).await?;
        let groups = rows.all("licenses", "", |row| {
            let (plan, state) = (row.text("plan")?, row.known("state", LicenseState::parse)?);
            let (all, ended) = (row.count("n")?, row.count("ended")?);
            let count = |status, count| LicenseCount { plan: plan.clone(), status, count };
            Ok(match state {
                LicenseState::Active => {
                    vec![count(Status::Active, all - ended), count(Status::Expired, ended)]
                }
                LicenseState::Suspended => vec![count(Status::Suspended, all)],
                LicenseState::Revoked => vec![count(Status::Revoked, all)],
            })
        })?;
        Ok(groups.into_iter().flatten().collect())
    }
}

//! Manages products and plans.

use std::sync::Arc;

use super::clock_and_rng::ClockAndRng;
use super::current_catalog::CurrentCatalog;
use crate::access::Actor;
use crate::bulk::BulkJobId;
use crate::catalog::{Plan, PlanCatalog, PlanEntry, PlanPatch, Product};
use crate::catalog_command::{
    CatalogCommand, CatalogContext, CatalogDenial, CatalogOutcome, CatalogResource, PlanDifference,
    decide_catalog, plan_differences,
};
use crate::error::ServiceError;
use crate::store::CatalogStore;

/// Manages products and plans. Clones share everything but the [actor](Self::by).
///
/// Every change returns [`ServiceError::Catalog`] if a rule denies it. Once a change is acknowledged, this
/// node decides by it; other nodes follow when the change stream tells them.
#[derive(Clone, Debug)]
pub struct CatalogService {
    store: Arc<dyn CatalogStore>,
    current: Arc<CurrentCatalog>,
    sources: Arc<ClockAndRng>,
    actor: Option<Arc<Actor>>,
    repeatable: bool,
}

/// The catalog before and after a change.
#[derive(Clone, Debug)]
struct Changed {
    before: Arc<PlanCatalog>,
    after: Arc<PlanCatalog>,
    repeated: bool,
}

/// A product or plan, and whether an earlier request created it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cataloged<T> {
    /// The product or plan.
    pub item: Arc<T>,
    /// Whether an earlier request created it.
    pub repeated: bool,
}

impl CatalogService {
    /// Creates the service without other services, for tools.
    pub fn new(store: Arc<dyn CatalogStore>, sources: Arc<ClockAndRng>) -> Self {
        let current = Arc::new(CurrentCatalog::stored(Arc::clone(&store)));
        Self::over(store, current, sources)
    }

    pub(super) fn over(
        store: Arc<dyn CatalogStore>,
        current: Arc<CurrentCatalog>,
        sources: Arc<ClockAndRng>,
    ) -> Self {
        Self { store, current, sources, actor: None, repeatable: false }
    }

    /// Returns the service on behalf of `actor`: changes are written to the audit log, in the same commit.
    #[must_use]
    pub fn by(&self, actor: &Arc<Actor>) -> Self {
        Self { actor: Some(Arc::clone(actor)), ..self.clone() }
    }

    /// Returns the service for requests that may be repetitions. A product or plan that exists exactly as it
    /// would be created is then returned instead of a denial.
    #[must_use]
    pub fn repeatable(&self, repeatable: bool) -> Self {
        Self { repeatable, ..self.clone() }
    }

    /// Returns the catalog by which this node decides.
    #[must_use]
    pub fn current(&self) -> Arc<PlanCatalog> {
        self.current.get()
    }

    /// Reads the catalog again if another node changed it, and returns it.
    pub async fn reload(&self) -> Result<Arc<PlanCatalog>, ServiceError> {
        self.current.reload().await?;
        Ok(self.current.get())
    }

    /// Returns the product with this name.
    ///
    /// # Errors
    /// Returns [`CatalogDenial::NotFound`] as [`ServiceError::Catalog`] if there is none.
    pub async fn product(&self, name: &str) -> Result<Arc<Product>, ServiceError> {
        find(CatalogResource::Product, name, self.reload().await?.product(name))
    }

    /// Returns the plan with this name.
    ///
    /// # Errors
    /// Returns [`CatalogDenial::NotFound`] as [`ServiceError::Catalog`] if there is none.
    pub async fn plan(&self, name: &str) -> Result<Arc<PlanEntry>, ServiceError> {
        find(CatalogResource::Plan, name, self.reload().await?.entry(name))
    }

    /// Creates a product.
    pub async fn create_product(
        &self,
        name: &str,
        display_name: &str,
    ) -> Result<Cataloged<Product>, ServiceError> {
        let (name, display_name) = (name.to_owned(), display_name.to_owned());
        let command = CatalogCommand::CreateProduct { name: name.clone(), display_name };
        let Changed { after, repeated, .. } = self.execute(&command, None).await?;
        let item = find(CatalogResource::Product, &name, after.product(&name))?;
        Ok(Cataloged { item, repeated })
    }

    /// Changes the display name of a product.
    pub async fn change_product(&self, name: &str, display_name: &str) -> Result<Arc<Product>, ServiceError> {
        let (name, display_name) = (name.to_owned(), display_name.to_owned());
        let command = CatalogCommand::ChangeProduct { name: name.clone(), display_name };
        let changed = self.execute(&command, None).await?;
        find(CatalogResource::Product, &name, changed.after.product(&name))
    }

    /// Deletes a product that has no plans.
    pub async fn delete_product(&self, name: &str) -> Result<(), ServiceError> {
        self.execute(&CatalogCommand::DeleteProduct(name.to_owned()), None).await.map(drop)
    }

    /// Creates a plan of an existing product.
    pub async fn create_plan(&self, plan: &Plan) -> Result<Cataloged<PlanEntry>, ServiceError> {
        let Changed { after, repeated, .. } =
            self.execute(&CatalogCommand::CreatePlan(plan.clone()), None).await?;
        let item = find(CatalogResource::Plan, &plan.name, after.entry(&plan.name))?;
        Ok(Cataloged { item, repeated })
    }

    /// Changes a plan, if it still has `expected_revision`. If its terms differ then, it gets a new version:
    /// new licenses have it, and sold licenses keep theirs.
    pub async fn change_plan(
        &self,
        name: &str,
        patch: PlanPatch,
        expected_revision: Option<u64>,
    ) -> Result<Arc<PlanEntry>, ServiceError> {
        let command = CatalogCommand::ChangePlan { name: name.to_owned(), patch };
        self.execute_on_plan(name, &command, expected_revision).await
    }

    /// As [`change_plan`](Self::change_plan), and moves all sold licenses of the plan to its current version by
    /// a job, whose id it returns. Limits that were set on a license and its `expires_at` stay. If the terms
    /// differ from none of the current version, the job moves the licenses of older versions.
    pub async fn change_plan_for_all(
        &self,
        name: &str,
        patch: PlanPatch,
        expected_revision: Option<u64>,
    ) -> Result<(Arc<PlanEntry>, BulkJobId), ServiceError> {
        let job = self.sources.with_rng(|rng| BulkJobId::generate(self.sources.now(), rng))?;
        let command = CatalogCommand::ChangePlanForAll { name: name.to_owned(), patch, job: job.clone() };
        Ok((self.execute_on_plan(name, &command, expected_revision).await?, job))
    }

    /// Archives a plan: no license can be sold with it or moved to it. Sold licenses go on.
    pub async fn archive_plan(
        &self,
        name: &str,
        expected_revision: Option<u64>,
    ) -> Result<Arc<PlanEntry>, ServiceError> {
        let command = CatalogCommand::ArchivePlan(name.to_owned());
        self.execute_on_plan(name, &command, expected_revision).await
    }

    /// Makes an archived plan available again.
    pub async fn unarchive_plan(
        &self,
        name: &str,
        expected_revision: Option<u64>,
    ) -> Result<Arc<PlanEntry>, ServiceError> {
        let command = CatalogCommand::UnarchivePlan(name.to_owned());
        self.execute_on_plan(name, &command, expected_revision).await
    }

    /// Creates or changes the plans of a set, and archives the other plans, except those that a source
    /// manages. Returns what happened to each plan.
    pub async fn apply(&self, plans: &PlanCatalog) -> Result<Vec<PlanDifference>, ServiceError> {
        let Changed { before, after, .. } = self.execute(&unmanaged(plans), None).await?;
        Ok(plan_differences(&before, &after))
    }

    /// Returns what [`apply`](Self::apply) would do. Writes nothing.
    pub async fn apply_dry_run(&self, plans: &PlanCatalog) -> Result<Vec<PlanDifference>, ServiceError> {
        let decision = decide_catalog(self.reload().await?, &unmanaged(plans), &self.context(None));
        let Changed { before, after, .. } = changed(decision.outcome)?;
        Ok(plan_differences(&before, &after))
    }

    async fn execute_on_plan(
        &self,
        name: &str,
        command: &CatalogCommand,
        expected_revision: Option<u64>,
    ) -> Result<Arc<PlanEntry>, ServiceError> {
        let changed = self.execute(command, expected_revision).await?;
        find(CatalogResource::Plan, name, changed.after.entry(name))
    }

    async fn execute(
        &self,
        command: &CatalogCommand,
        expected_revision: Option<u64>,
    ) -> Result<Changed, ServiceError> {
        let outcome = self.store.execute_catalog(command, &self.context(expected_revision)).await?;
        let changed = changed(outcome)?;
        self.current.replace(Arc::clone(&changed.after));
        Ok(changed)
    }

    fn context(&self, expected_revision: Option<u64>) -> CatalogContext {
        let (now, by) = (self.sources.now(), self.actor.clone());
        CatalogContext { now, expected_revision, by, repeatable: self.repeatable }
    }
}

fn unmanaged(plans: &PlanCatalog) -> CatalogCommand {
    CatalogCommand::Apply { plans: Arc::new(plans.clone()), managed_by: None }
}

fn changed(outcome: CatalogOutcome) -> Result<Changed, ServiceError> {
    match outcome {
        CatalogOutcome::Done { before, after } => Ok(Changed { before, after, repeated: false }),
        CatalogOutcome::Repeated(after) => Ok(Changed { before: Arc::clone(&after), after, repeated: true }),
        CatalogOutcome::Denied(denial) => Err(ServiceError::Catalog(denial)),
    }
}

fn find<T>(what: CatalogResource, name: &str, found: Option<&Arc<T>>) -> Result<Arc<T>, ServiceError> {
    let missing = || ServiceError::Catalog(CatalogDenial::NotFound { what, name: name.to_owned() });
    found.cloned().ok_or_else(missing)
}

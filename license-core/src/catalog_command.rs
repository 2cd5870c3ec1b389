//! Commands on the catalog, and the pure decision for each.

mod apply;
mod denial;
mod difference;
mod draft;
mod import;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::access::{Actor, AuditEntry};
use crate::bulk::{BulkAction, BulkJobId, NewBulkJob};
use crate::catalog::{DEFAULT_PRODUCT, Plan, PlanCatalog, PlanEntry, PlanPatch, PlanVersion, Product};
use crate::limits;

pub use denial::{CatalogDenial, CatalogResource};
pub use difference::{PlanChange, PlanDifference, plan_differences};
use draft::Draft;
pub use import::ImportedPlan;

/// A command on the catalog.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CatalogCommand {
    /// Creates a product.
    CreateProduct {
        /// The name.
        name: String,
        /// The name for people.
        display_name: String,
    },
    /// Changes the display name of a product.
    ChangeProduct {
        /// The name of the product.
        name: String,
        /// The new name for people.
        display_name: String,
    },
    /// Deletes a product that has no plans.
    DeleteProduct(String),
    /// Creates a plan.
    CreatePlan(Plan),
    /// Changes a plan. If its terms differ then, it gets a new version, which new licenses have.
    ChangePlan {
        /// The name of the plan.
        name: String,
        /// The fields to set.
        patch: PlanPatch,
    },
    /// As [`ChangePlan`](Self::ChangePlan), and creates a job that moves all sold licenses of the plan to the
    /// version that is current then.
    ChangePlanForAll {
        /// The name of the plan.
        name: String,
        /// The fields to set.
        patch: PlanPatch,
        /// The id of the job.
        job: BulkJobId,
    },
    /// Archives a plan: no license can be sold with it or moved to it. Sold licenses go on.
    ArchivePlan(String),
    /// Makes an archived plan available again.
    UnarchivePlan(String),
    /// Creates or changes these plans, makes archived ones available, and archives the plans that the set
    /// lacks. A plan gets a new version only if its terms differ.
    Apply {
        /// The plans and products.
        plans: Arc<PlanCatalog>,
        /// The source that manages the plans from then on. Without one, plans of the set that another source
        /// manages are refused, and missing ones stay.
        managed_by: Option<String>,
    },
    /// Writes these plans if the catalog has none. Not audited.
    Seed {
        /// The plans and products.
        plans: Arc<PlanCatalog>,
        /// Whether plans that a source manages can be changed from then on.
        release: bool,
    },
    /// Stores a product of an export, unless a product has its name.
    ImportProduct(Product),
    /// Stores a plan version of an export, unless the plan has it.
    ImportPlan(ImportedPlan),
}

/// The inputs of a decision other than the catalog and the command.
#[derive(Clone, Debug)]
pub struct CatalogContext {
    /// The time of the call, in whole microseconds.
    pub now: DateTime<Utc>,
    /// The [`revision`](PlanEntry::revision) that the plan must still have; `None` is any.
    pub expected_revision: Option<u64>,
    /// The actor for the audit; `None` writes no entry.
    pub by: Option<Arc<Actor>>,
    /// Whether the request may be a repetition: then a create that finds exactly what it would create is
    /// answered with it.
    pub repeatable: bool,
}

/// The outcome of a command on the catalog.
#[derive(Clone, Debug, PartialEq)]
pub enum CatalogOutcome {
    /// Executed.
    Done {
        /// The catalog before the command.
        before: Arc<PlanCatalog>,
        /// The catalog after it, possibly unchanged.
        after: Arc<PlanCatalog>,
    },
    /// Executed by an earlier request; the catalog as it is now.
    Repeated(Arc<PlanCatalog>),
    /// Denied by a rule; nothing changed.
    Denied(CatalogDenial),
}

/// The result of a decision on the catalog.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogDecision {
    /// The answer.
    pub outcome: CatalogOutcome,
    /// Changes to write before answering, if any.
    pub changes: Option<CatalogChanges>,
}

/// The changes of one command, written in one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogChanges {
    /// The new catalog. Its [`revision`](PlanCatalog::revision) must be stored.
    pub catalog: Arc<PlanCatalog>,
    /// Products to add or replace.
    pub products: Vec<Product>,
    /// The product to delete.
    pub deleted_product: Option<String>,
    /// Plans to add or replace, except their versions.
    pub plans: Vec<PlanEntry>,
    /// Plan versions to add.
    pub versions: Vec<PlanVersion>,
    /// Audit entries to add.
    pub audit: Vec<AuditEntry>,
    /// The job to create, with its audit entry. Its licenses are those of the plan with an older version that
    /// are not revoked, as they are when the other changes are written.
    pub job: Option<NewBulkJob>,
}

/// Decides a command on the catalog. Pure.
#[must_use]
pub fn decide_catalog(
    before: Arc<PlanCatalog>,
    command: &CatalogCommand,
    context: &CatalogContext,
) -> CatalogDecision {
    let mut draft = Draft::new(&before, command, context);
    let result = match command {
        CatalogCommand::CreateProduct { name, display_name } => {
            let product = Product::new(name, display_name, context.now);
            if context.repeatable && draft.has_product(&product) {
                return CatalogDecision { outcome: CatalogOutcome::Repeated(before), changes: None };
            }
            create_product(&mut draft, product)
        }
        CatalogCommand::ChangeProduct { name, display_name } => {
            change_product(&mut draft, name, display_name)
        }
        CatalogCommand::DeleteProduct(name) => delete_product(&mut draft, name),
        CatalogCommand::CreatePlan(plan) => {
            if context.repeatable && draft.was_created_as(plan) {
                return CatalogDecision { outcome: CatalogOutcome::Repeated(before), changes: None };
            }
            create_plan(&mut draft, plan)
        }
        CatalogCommand::ChangePlan { name, patch } => change_plan(&mut draft, name, patch),
        CatalogCommand::ChangePlanForAll { name, patch, job } => {
            change_plan_for_all(&mut draft, name, patch, job)
        }
        CatalogCommand::ArchivePlan(name) => set_archived(&mut draft, name, true),
        CatalogCommand::UnarchivePlan(name) => set_archived(&mut draft, name, false),
        CatalogCommand::Apply { plans, managed_by } => apply::apply(&mut draft, plans, managed_by.as_deref()),
        CatalogCommand::Seed { plans, release } => apply::seed(&mut draft, plans, *release),
        CatalogCommand::ImportProduct(product) => import::product(&mut draft, product),
        CatalogCommand::ImportPlan(plan) => import::plan(&mut draft, plan),
    };
    if let Err(denial) = result {
        return CatalogDecision { outcome: CatalogOutcome::Denied(denial), changes: None };
    }
    let changes = draft.into_changes();
    let after = changes.as_ref().map_or_else(|| Arc::clone(&before), |changes| Arc::clone(&changes.catalog));
    CatalogDecision { outcome: CatalogOutcome::Done { before, after }, changes }
}

fn create_product(draft: &mut Draft<'_>, product: Product) -> Result<(), CatalogDenial> {
    product.check().map_err(|(field, reason)| CatalogDenial::Invalid { field: field.to_owned(), reason })?;
    if draft.catalog.product(&product.name).is_some() {
        return Err(CatalogDenial::ProductExists { product: product.name });
    }
    if draft.catalog.products().count() >= limits::PRODUCTS {
        return Err(CatalogDenial::LimitReached { what: "products", limit: limits::PRODUCTS });
    }
    draft.put_product(product);
    Ok(())
}

fn change_product(draft: &mut Draft<'_>, name: &str, display_name: &str) -> Result<(), CatalogDenial> {
    let before = draft.product(name)?;
    let product = Product { display_name: display_name.to_owned(), ..(*before).clone() };
    product.check().map_err(|(field, reason)| CatalogDenial::Invalid { field: field.to_owned(), reason })?;
    if product != *before {
        draft.put_product(Product { updated_at: draft.context.now, ..product });
    }
    Ok(())
}

fn delete_product(draft: &mut Draft<'_>, name: &str) -> Result<(), CatalogDenial> {
    draft.product(name)?;
    let of_product = draft.catalog.entries().filter(|entry| entry.product == name);
    let plans: Vec<_> = of_product.map(|entry| entry.name.clone()).collect();
    if name == DEFAULT_PRODUCT || !plans.is_empty() {
        return Err(CatalogDenial::ProductInUse { product: name.to_owned(), plans });
    }
    draft.delete_product(name);
    Ok(())
}

fn create_plan(draft: &mut Draft<'_>, plan: &Plan) -> Result<(), CatalogDenial> {
    plan.checked()?;
    if let Some(entry) = draft.catalog.entry(&plan.name) {
        let archived = !entry.is_available();
        return Err(CatalogDenial::PlanExists { plan: plan.name.clone(), archived });
    }
    if draft.catalog.product(&plan.product).is_none() {
        let products = draft.catalog.products().map(|product| product.name.clone()).collect();
        return Err(CatalogDenial::ProductUnknown { product: plan.product.clone(), products });
    }
    draft.create_plan(plan.clone(), draft.context.now)
}

fn change_plan(draft: &mut Draft<'_>, name: &str, patch: &PlanPatch) -> Result<(), CatalogDenial> {
    // An invalid field is invalid at every revision.
    let plan = draft.plan(name)?.current().plan.patched(patch)?;
    let entry = draft.changeable_plan(name)?;
    draft.set_terms(&entry, plan)
}

fn change_plan_for_all(
    draft: &mut Draft<'_>,
    name: &str,
    patch: &PlanPatch,
    job: &BulkJobId,
) -> Result<(), CatalogDenial> {
    change_plan(draft, name, patch)?;
    let version = draft.plan(name)?.current().version;
    draft.job = Some(NewBulkJob {
        id: job.clone(),
        action: BulkAction::ApplyPlan { plan: name.to_owned(), version },
        created_at: draft.context.now,
        by: draft.context.by.as_deref().cloned(),
        idempotency: None,
        reason: None,
    });
    Ok(())
}

fn set_archived(draft: &mut Draft<'_>, name: &str, archived: bool) -> Result<(), CatalogDenial> {
    let entry = draft.changeable_plan(name)?;
    if entry.is_available() == archived {
        let archived_at = archived.then_some(draft.context.now);
        draft.put_plan(PlanEntry { archived_at, ..(*entry).clone() });
    }
    Ok(())
}

//! Stores the products and plan versions of an export.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::CatalogDenial;
use super::draft::Draft;
use crate::catalog::{DEFAULT_PRODUCT, Plan, PlanEntry, PlanVersion, Product};
use crate::limits;

/// A plan version of an export.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedPlan {
    /// The terms.
    pub plan: Plan,
    /// The number of the version.
    pub version: u32,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// When the plan was archived. Used only for a plan that does not exist yet.
    pub archived_at: Option<DateTime<Utc>>,
}

pub(super) fn product(draft: &mut Draft<'_>, product: &Product) -> Result<(), CatalogDenial> {
    product.check().map_err(|(field, reason)| CatalogDenial::Invalid { field: field.to_owned(), reason })?;
    // A new database has the default product, but has not stored it yet.
    let is_new = draft.catalog.revision() == 0 && product.name == DEFAULT_PRODUCT;
    if draft.catalog.product(&product.name).is_some() && !is_new {
        return Ok(());
    }
    if draft.catalog.products().count() >= limits::PRODUCTS {
        return Err(CatalogDenial::LimitReached { what: "products", limit: limits::PRODUCTS });
    }
    draft.put_product(product.clone());
    Ok(())
}

/// Adds the version after the last one. A version that exists must have the same terms.
pub(super) fn plan(draft: &mut Draft<'_>, imported: &ImportedPlan) -> Result<(), CatalogDenial> {
    let ImportedPlan { plan, version, created_at, archived_at } = imported;
    plan.checked()?;
    let gap = |last| CatalogDenial::VersionGap { plan: plan.name.clone(), version: *version, last };
    let Some(entry) = draft.catalog.entry(&plan.name).cloned() else {
        if *version != 1 {
            return Err(gap(0));
        }
        draft.create_plan(plan.clone(), *created_at)?;
        if let (Some(_), Some(entry)) = (archived_at, draft.catalog.entry(&plan.name).cloned()) {
            draft.amend_new(PlanEntry { archived_at: *archived_at, ..(*entry).clone() });
        }
        return Ok(());
    };
    if let Some(existing) = entry.version(*version) {
        let differs = || CatalogDenial::VersionDiffers { plan: plan.name.clone(), version: *version };
        return if *existing.plan == *plan { Ok(()) } else { Err(differs()) };
    }
    let last = entry.current().version;
    if *version != last + 1 {
        return Err(gap(last));
    }
    let version = PlanVersion { plan: Arc::new(plan.clone()), version: *version, created_at: *created_at };
    let entry = draft.with_version(&entry, version)?;
    draft.put_plan(entry);
    Ok(())
}

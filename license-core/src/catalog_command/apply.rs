//! Applies a set of plans: of a file, of code, or the built-in ones.

use super::draft::Draft;
use super::{CatalogDenial, PlanEntry};
use crate::catalog::{DEFAULT_PRODUCT, PlanCatalog, Product};

/// Writes the plans of the set, and archives the plans that it lacks.
pub(super) fn apply(
    draft: &mut Draft<'_>,
    set: &PlanCatalog,
    managed_by: Option<&str>,
) -> Result<(), CatalogDenial> {
    put_products(draft, set);
    let (now, source) = (draft.context.now, managed_by.map(str::to_owned));
    for plan in set.iter() {
        let Some(before) = draft.catalog.entry(&plan.name).cloned() else {
            draft.create_plan(plan.clone(), now)?;
            if let Some(entry) = draft.catalog.entry(&plan.name).cloned()
                && source.is_some()
            {
                draft.amend_new(PlanEntry { managed_by: source.clone(), ..(*entry).clone() });
            }
            continue;
        };
        if let (None, Some(other)) = (managed_by, &before.managed_by) {
            if *before.current().plan == *plan && before.is_available() {
                continue;
            }
            let (plan, managed_by) = (plan.name.clone(), other.clone());
            return Err(CatalogDenial::PlanManaged { plan, managed_by });
        }
        let mut entry = (*before).clone();
        if *entry.current().plan != *plan {
            entry = draft.with_version(&entry, before.next_version(plan.clone(), now))?;
        }
        draft.put_plan(PlanEntry { archived_at: None, managed_by: source.clone(), ..entry });
    }
    let missing = draft.catalog.entries().filter(|entry| set.entry(&entry.name).is_none());
    let missing: Vec<_> = missing.cloned().collect();
    for entry in missing {
        // A source replaces the plans of other sources, but not those of the API; and the other way round.
        if entry.managed_by.is_some() == managed_by.is_some() {
            let archived_at = entry.archived_at.or(Some(now));
            draft.put_plan(PlanEntry { archived_at, managed_by: source.clone(), ..entry });
        }
    }
    Ok(())
}

/// Writes the plans if there are none. With `release`, no source manages plans from then on.
pub(super) fn seed(draft: &mut Draft<'_>, set: &PlanCatalog, release: bool) -> Result<(), CatalogDenial> {
    if draft.catalog.entries().next().is_none() {
        return apply(draft, set, None);
    }
    if release {
        let managed = draft.catalog.entries().filter(|entry| entry.managed_by.is_some());
        let managed: Vec<_> = managed.cloned().collect();
        for entry in managed {
            draft.put_plan(PlanEntry { managed_by: None, ..entry });
        }
    }
    Ok(())
}

/// Creates missing products. A display name that is only the name does not replace another one.
fn put_products(draft: &mut Draft<'_>, set: &PlanCatalog) {
    let now = draft.context.now;
    for product in set.products() {
        let stored = draft.catalog.product(&product.name).cloned();
        let put = match &stored {
            None => Some(Product::new(&*product.name, &*product.display_name, now)),
            Some(stored)
                if product.display_name != product.name
                    && product.name != DEFAULT_PRODUCT
                    && product.display_name != stored.display_name =>
            {
                let display_name = product.display_name.clone();
                Some(Product { display_name, updated_at: now, ..(**stored).clone() })
            }
            Some(_) => None,
        };
        if let Some(product) = put {
            draft.put_product(product);
        }
    }
}

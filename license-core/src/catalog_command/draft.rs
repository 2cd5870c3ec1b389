//! The catalog during one decision.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{CatalogChanges, CatalogCommand, CatalogContext, CatalogDenial, CatalogResource};
use crate::access::AuditEntry;
use crate::bulk::NewBulkJob;
use crate::catalog::{DEFAULT_PRODUCT, Plan, PlanCatalog, PlanEntry, PlanVersion, Product};
use crate::limits;

/// The catalog during one decision. A denial drops it, so that nothing changes.
pub(super) struct Draft<'a> {
    pub(super) catalog: PlanCatalog,
    pub(super) context: &'a CatalogContext,
    is_audited: bool,
    products: Vec<Product>,
    deleted_product: Option<String>,
    plans: Vec<PlanEntry>,
    versions: Vec<PlanVersion>,
    audit: Vec<AuditEntry>,
    pub(super) job: Option<NewBulkJob>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(before: &PlanCatalog, command: &CatalogCommand, context: &'a CatalogContext) -> Self {
        Self {
            catalog: before.clone(),
            context,
            is_audited: !matches!(command, CatalogCommand::Seed { .. }),
            products: Vec::new(),
            deleted_product: None,
            plans: Vec::new(),
            versions: Vec::new(),
            audit: Vec::new(),
            job: None,
        }
    }

    pub(super) fn product(&self, name: &str) -> Result<Arc<Product>, CatalogDenial> {
        let missing = || CatalogDenial::NotFound { what: CatalogResource::Product, name: name.to_owned() };
        self.catalog.product(name).cloned().ok_or_else(missing)
    }

    /// Returns whether the product exists with this display name.
    pub(super) fn has_product(&self, product: &Product) -> bool {
        let stored = self.catalog.product(&product.name);
        stored.is_some_and(|stored| stored.display_name == product.display_name)
    }

    /// Returns whether the first version of the plan has these terms.
    pub(super) fn was_created_as(&self, plan: &Plan) -> bool {
        self.catalog.version(&plan.name, 1).is_some_and(|first| **first == *plan)
    }

    /// Returns the plan with this name, with the changes of this command.
    pub(super) fn plan(&self, name: &str) -> Result<Arc<PlanEntry>, CatalogDenial> {
        let missing = || CatalogDenial::NotFound { what: CatalogResource::Plan, name: name.to_owned() };
        self.catalog.entry(name).cloned().ok_or_else(missing)
    }

    /// Returns a plan that the caller of the API can change.
    pub(super) fn changeable_plan(&self, name: &str) -> Result<Arc<PlanEntry>, CatalogDenial> {
        let entry = self.plan(name)?;
        if let Some(source) = &entry.managed_by {
            return Err(CatalogDenial::PlanManaged { plan: name.to_owned(), managed_by: source.clone() });
        }
        match self.context.expected_revision {
            Some(expected) if expected != entry.revision => {
                Err(CatalogDenial::Stale { revision: entry.revision })
            }
            _ => Ok(entry),
        }
    }

    pub(super) fn put_product(&mut self, product: Product) {
        let before = self.catalog.product(&product.name).cloned();
        let action = if before.is_some() { "product.change" } else { "product.create" };
        let shown = |product: &Product| json!(product.display_name);
        let before = before.map(|before| ("display_name", shown(&before)));
        self.note(action, &product.name, before, [("display_name", shown(&product))]);
        self.products.push(product.clone());
        self.catalog.put_product(product);
    }

    pub(super) fn delete_product(&mut self, name: &str) {
        self.note::<&str, &str>("product.delete", name, [], []);
        self.deleted_product = Some(name.to_owned());
        self.catalog.remove_product(name);
    }

    /// Creates a plan, and its product if there is none.
    pub(super) fn create_plan(&mut self, plan: Plan, created_at: DateTime<Utc>) -> Result<(), CatalogDenial> {
        if self.catalog.entries().count() >= limits::PLANS {
            return Err(CatalogDenial::LimitReached { what: "plans", limit: limits::PLANS });
        }
        if self.catalog.product(&plan.product).is_none() {
            if self.catalog.products().count() >= limits::PRODUCTS {
                return Err(CatalogDenial::LimitReached { what: "products", limit: limits::PRODUCTS });
            }
            self.put_product(Product::new(&*plan.product, &*plan.product, self.context.now));
        }
        let entry = PlanEntry::new(plan, created_at);
        self.versions.extend(entry.versions.iter().cloned());
        let terms = entry.current().plan.to_json();
        let terms = terms.iter().map(|(name, value)| (name.as_str(), value.clone()));
        self.note::<&str, _>("plan.create", &entry.name, [], terms.chain([("version", json!(1))]));
        self.write_plan(entry);
        Ok(())
    }

    /// Gives a plan a new version, unless its terms are these.
    pub(super) fn set_terms(&mut self, entry: &PlanEntry, plan: Plan) -> Result<(), CatalogDenial> {
        if *entry.current().plan == plan {
            return Ok(());
        }
        let entry = self.with_version(entry, entry.next_version(plan, self.context.now))?;
        self.put_plan(entry);
        Ok(())
    }

    /// Adds a version to a plan.
    pub(super) fn with_version(
        &mut self,
        entry: &PlanEntry,
        version: PlanVersion,
    ) -> Result<PlanEntry, CatalogDenial> {
        if version.plan.product != entry.product {
            let (plan, product) = (entry.name.clone(), entry.product.clone());
            return Err(CatalogDenial::ProductDiffers { plan, product });
        }
        if entry.versions.len() >= limits::PLAN_VERSIONS {
            let what = "versions of this plan";
            return Err(CatalogDenial::LimitReached { what, limit: limits::PLAN_VERSIONS });
        }
        let mut entry = entry.clone();
        self.versions.push(version.clone());
        entry.versions.push(version);
        Ok(entry)
    }

    /// Replaces a plan that differs from the stored one.
    pub(super) fn put_plan(&mut self, entry: PlanEntry) {
        let Some(before) = self.catalog.entry(&entry.name).cloned() else { return };
        if entry == *before {
            return;
        }
        let action = match (before.is_available(), entry.is_available()) {
            (true, false) => "plan.archive",
            (false, true) => "plan.unarchive",
            _ => "plan.change",
        };
        let (old, new) = (audited(&before), audited(&entry));
        let changed = |own: &Map<String, Value>, other: &Map<String, Value>| {
            let own = own.iter().filter(|(name, value)| other.get(*name) != Some(value));
            own.map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
        };
        let (old, new) = (changed(&old, &new), changed(&new, &old));
        let pairs = |fields: Vec<(String, Value)>| fields.into_iter();
        self.note(action, &entry.name, pairs(old), pairs(new));
        self.write_plan(PlanEntry { revision: before.revision + 1, updated_at: self.context.now, ..entry });
    }

    /// Replaces a plan that this command created. The plan keeps its first revision.
    pub(super) fn amend_new(&mut self, entry: PlanEntry) {
        self.write_plan(entry);
    }

    fn write_plan(&mut self, entry: PlanEntry) {
        self.plans.retain(|written| written.name != entry.name);
        self.plans.push(entry.clone());
        self.catalog.put_plan(entry);
    }

    /// Adds an audit entry about the product or plan `name`.
    fn note<N: Into<String>, M: Into<String>>(
        &mut self,
        action: &str,
        name: &str,
        before: impl IntoIterator<Item = (N, Value)>,
        after: impl IntoIterator<Item = (M, Value)>,
    ) {
        let Some(by) = self.context.by.as_ref().filter(|_| self.is_audited) else { return };
        let is_new = action.ends_with(".create");
        let named = json!({ "before": (!is_new).then_some(name), "after": name });
        let mut changes = Map::from_iter([("name".to_owned(), named)]);
        for (side, fields) in [
            ("before", before.into_iter().map(|(name, value)| (name.into(), value)).collect::<Vec<_>>()),
            ("after", after.into_iter().map(|(name, value)| (name.into(), value)).collect()),
        ] {
            for (name, value) in fields {
                let change = changes.entry(name).or_insert_with(|| json!({ "before": null, "after": null }));
                change[side] = value;
            }
        }
        self.audit.push(AuditEntry { changes, ..AuditEntry::new(action, by, self.context.now) });
    }

    /// Returns what to write; `None` if nothing changed.
    pub(super) fn into_changes(mut self) -> Option<CatalogChanges> {
        let has_changes =
            !self.products.is_empty() || !self.plans.is_empty() || self.deleted_product.is_some();
        if !has_changes && self.job.is_none() {
            return None;
        }
        let revision = self.catalog.revision();
        if revision == 0 && !self.products.iter().any(|product| product.name == DEFAULT_PRODUCT) {
            let default = self.catalog.product(DEFAULT_PRODUCT).map(|product| product.display_name.clone());
            let shown = default.unwrap_or_default();
            let default = Product::new(DEFAULT_PRODUCT, shown, self.context.now);
            self.products.insert(0, default.clone());
            self.catalog.put_product(default);
        }
        self.catalog.set_revision(revision + 1);
        let Self { catalog, products, deleted_product, plans, versions, audit, job, .. } = self;
        let catalog = Arc::new(catalog);
        Some(CatalogChanges { catalog, products, deleted_product, plans, versions, audit, job })
    }
}

/// Returns the audited fields of a plan.
fn audited(entry: &PlanEntry) -> Map<String, Value> {
    let PlanEntry { name: _, product: _, versions: _, archived_at, managed_by, .. } = entry;
    let current = entry.current();
    let mut fields = current.plan.to_json();
    fields.insert("version".to_owned(), json!(current.version));
    fields.insert("archived".to_owned(), json!(archived_at.is_some()));
    fields.insert("managed_by".to_owned(), json!(managed_by));
    fields
}

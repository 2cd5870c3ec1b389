//! Products, plans and their versions.
//!
//! A [`Plan`] is the terms of licenses of one kind. A [`PlanCatalog`] has all versions of every plan, because
//! a license keeps the version that it was sold with.

mod entry;
mod exempt_hosts;
mod feature;
mod feature_name;
#[cfg(feature = "plan-files")]
mod file;
mod form;
mod limit;
mod name;
mod over_limit;
mod period;
mod plan;
mod plan_check;
mod product;
mod required_claim;
mod term;
mod trial;
mod updates;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::DateTime;

pub use entry::{PlanEntry, PlanVersion};
pub use exempt_hosts::ExemptHosts;
pub use feature::{FeatureValue, FeatureValueError, Features};
pub use feature_name::{FeatureName, FeatureNameError};
pub use form::{PlanFieldError, PlanPatch};
pub use limit::Limit;
pub use over_limit::OverLimit;
pub use period::Period;
pub(crate) use period::anchor_day;
pub(crate) use plan::is_name;
pub use plan::{DevicePolicy, DomainPolicy, Plan};
pub use product::{DEFAULT_PRODUCT, Product};
pub use required_claim::{RequiredClaim, RequiredClaims};
pub use term::{Term, TermStart};
pub use trial::{Trial, TrialHolder};
pub use updates::{AfterExpiry, Updates};

/// The products, and the plans that licenses can have, by name.
///
/// A catalog in code has version 1 of each plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanCatalog {
    revision: u64,
    products: BTreeMap<String, Arc<Product>>,
    plans: BTreeMap<String, Arc<PlanEntry>>,
}

impl Default for PlanCatalog {
    /// The catalog of a new database: the default product, and no plans.
    fn default() -> Self {
        let default = Product::new(DEFAULT_PRODUCT, "Default", DateTime::UNIX_EPOCH);
        let products = BTreeMap::from([(default.name.clone(), Arc::new(default))]);
        Self { revision: 0, products, plans: BTreeMap::new() }
    }
}

impl PlanCatalog {
    /// Creates a catalog. A product of a plan is created with its name as display name.
    ///
    /// # Errors
    /// Returns [`PlanCatalogError`] if there is no plan, a name occurs twice, or a plan is invalid.
    pub fn new(plans: impl IntoIterator<Item = Plan>) -> Result<Self, PlanCatalogError> {
        let mut catalog = Self::default();
        for plan in plans {
            plan.check()?;
            if catalog.plans.contains_key(&plan.name) {
                return Err(PlanCatalogError::Plan { plan: plan.name, reason: "it occurs twice".to_owned() });
            }
            if !catalog.products.contains_key(&plan.product) {
                catalog.put_product(Product::new(&*plan.product, &*plan.product, DateTime::UNIX_EPOCH));
            }
            catalog.put_plan(PlanEntry::new(plan, DateTime::UNIX_EPOCH));
        }
        if catalog.plans.is_empty() {
            return Err(PlanCatalogError::Empty);
        }
        Ok(catalog)
    }

    /// Sets the display name of a product, which is created if no plan has it.
    ///
    /// # Errors
    /// Returns [`PlanCatalogError::Product`] if a name is invalid.
    pub fn with_product(mut self, name: &str, display_name: &str) -> Result<Self, PlanCatalogError> {
        let product = Product::new(name, display_name, DateTime::UNIX_EPOCH);
        product
            .check()
            .map_err(|(_, reason)| PlanCatalogError::Product { product: name.to_owned(), reason })?;
        self.put_product(product);
        Ok(self)
    }

    /// Creates a catalog from stored parts. `revision` counts its changes.
    #[must_use]
    pub fn from_stored(
        revision: u64,
        products: impl IntoIterator<Item = Product>,
        plans: impl IntoIterator<Item = PlanEntry>,
    ) -> Self {
        let mut catalog = Self { revision, ..Self::default() };
        products.into_iter().for_each(|product| catalog.put_product(product));
        plans.into_iter().for_each(|plan| catalog.put_plan(plan));
        catalog
    }

    /// Returns the built-in plans, each for 365 days: starter (1 domain, 2 devices), professional (3
    /// domains, 10 devices) and enterprise (unlimited). They have no grace period.
    ///
    /// # Panics
    /// Never: the plans are constants.
    #[must_use]
    pub fn standard() -> Self {
        let year = |name: &str| Plan::new(name).term_days(Some(365));
        Self::new([
            year("starter")
                .max_domains(Limit::AtMost(1))
                .max_devices(Limit::AtMost(2))
                .feature("api", false)
                .feature("support", "community"),
            year("professional")
                .max_domains(Limit::AtMost(3))
                .max_devices(Limit::AtMost(10))
                .feature("api", true)
                .feature("support", "email"),
            year("enterprise").feature("api", true).feature("sso", true).feature("support", "priority"),
        ])
        .expect("constant plans are in bounds")
    }

    /// Returns the number of changes of a stored catalog; 0 for one in code.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns the current version of the plan with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Plan>> {
        Some(&self.entry(name)?.current().plan)
    }

    /// Returns one version of the plan with this name.
    #[must_use]
    pub fn version(&self, name: &str, version: u32) -> Option<&Arc<Plan>> {
        Some(&self.entry(name)?.version(version)?.plan)
    }

    /// Returns the plan with this name, with all its versions.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Arc<PlanEntry>> {
        self.plans.get(name)
    }

    /// Returns the current version of each plan, archived ones included, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        self.entries().map(|entry| &*entry.current().plan)
    }

    /// Returns all plans with their versions, archived ones included, sorted by name.
    pub fn entries(&self) -> impl Iterator<Item = &PlanEntry> {
        self.plans.values().map(AsRef::as_ref)
    }

    /// Returns the names of the plans that are not archived, sorted.
    #[must_use]
    pub fn available(&self) -> Vec<String> {
        self.entries().filter(|entry| entry.is_available()).map(|entry| entry.name.clone()).collect()
    }

    /// Returns the product with this name.
    #[must_use]
    pub fn product(&self, name: &str) -> Option<&Arc<Product>> {
        self.products.get(name)
    }

    /// Returns all products, sorted by name.
    pub fn products(&self) -> impl Iterator<Item = &Product> {
        self.products.values().map(AsRef::as_ref)
    }

    /// Adds or replaces a product.
    pub(crate) fn put_product(&mut self, product: Product) {
        self.products.insert(product.name.clone(), Arc::new(product));
    }

    pub(crate) fn remove_product(&mut self, name: &str) {
        self.products.remove(name);
    }

    /// Adds or replaces a plan.
    pub(crate) fn put_plan(&mut self, plan: PlanEntry) {
        self.plans.insert(plan.name.clone(), Arc::new(plan));
    }

    pub(crate) fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }
}

/// The reason why a catalog is invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanCatalogError {
    /// The catalog is empty.
    #[error("a catalog needs at least one plan")]
    Empty,
    /// A plan is invalid.
    #[error("plan {plan:?}: {reason}")]
    Plan {
        /// The name of the plan.
        plan: String,
        /// The reason.
        reason: String,
    },
    /// A product is invalid.
    #[error("product {product:?}: {reason}")]
    Product {
        /// The name of the product.
        product: String,
        /// The reason.
        reason: String,
    },
    /// The file is not TOML, or not a catalog.
    #[cfg(feature = "plan-files")]
    #[error("{0}")]
    Toml(Box<toml::de::Error>),
    /// A value has no form in TOML.
    #[cfg(feature = "plan-files")]
    #[error("{0}")]
    WriteToml(Box<toml::ser::Error>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_catalog_has_three_plans() {
        let names: Vec<_> = PlanCatalog::standard().iter().map(|plan| plan.name.clone()).collect();
        assert_eq!(names, ["enterprise", "professional", "starter"]);
    }

    /// Expired means expired at `expires_at`.
    #[test]
    fn standard_plans_have_no_grace() {
        assert!(PlanCatalog::standard().iter().all(|plan| plan.grace().is_zero()));
    }

    #[test]
    fn default_product_always_exists() {
        let catalog = PlanCatalog::new([Plan::new("pro").product("editor")]).unwrap();
        let names: Vec<_> = catalog.products().map(|product| product.name.as_str()).collect();
        assert_eq!(names, ["default", "editor"]);
        assert!(PlanCatalog::default().product(DEFAULT_PRODUCT).is_some());
    }

    #[test]
    fn versions_are_found_by_number() {
        let catalog = PlanCatalog::new([Plan::new("pro").max_devices(3)]).unwrap();
        assert_eq!(catalog.version("pro", 1), catalog.get("pro"));
        for (name, version) in [("pro", 0), ("pro", 2), ("solo", 1)] {
            assert_eq!(catalog.version(name, version), None, "{name} {version}");
        }
    }
}

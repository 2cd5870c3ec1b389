//! Plans and the catalog of plans.

mod exempt_hosts;
mod feature;
mod feature_name;
#[cfg(feature = "plan-files")]
mod file;
mod limit;
mod over_limit;
mod period;
mod plan;
mod required_claim;
mod term;
mod updates;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use exempt_hosts::ExemptHosts;
pub use feature::{FeatureValue, FeatureValueError, Features};
pub use feature_name::{FeatureName, FeatureNameError};
pub use limit::Limit;
pub use over_limit::OverLimit;
pub use period::Period;
pub(crate) use period::anchor_day;
pub(crate) use plan::is_name;
pub use plan::{DEFAULT_PRODUCT, DevicePolicy, DomainPolicy, Plan};
pub use required_claim::{RequiredClaim, RequiredClaims};
pub use term::{Term, TermStart};
pub use updates::{AfterExpiry, Updates};

/// The plans that licenses can have, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanCatalog {
    plans: BTreeMap<String, Arc<Plan>>,
}

impl PlanCatalog {
    /// Creates a catalog.
    ///
    /// # Errors
    /// Returns [`PlanCatalogError`] if there is no plan, a name occurs twice, or a plan is invalid.
    pub fn new(plans: impl IntoIterator<Item = Plan>) -> Result<Self, PlanCatalogError> {
        let mut by_name = BTreeMap::new();
        for plan in plans {
            plan.check()?;
            let name = plan.name.clone();
            if by_name.insert(name.clone(), Arc::new(plan)).is_some() {
                return Err(PlanCatalogError::Plan { plan: name, reason: "it occurs twice".to_owned() });
            }
        }
        if by_name.is_empty() {
            return Err(PlanCatalogError::Empty);
        }
        Ok(Self { plans: by_name })
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

    /// Returns the plan with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Plan>> {
        self.plans.get(name)
    }

    /// Returns all plans, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        self.plans.values().map(AsRef::as_ref)
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
    /// The file is not TOML, or not a catalog.
    #[cfg(feature = "plan-files")]
    #[error("{0}")]
    Toml(Box<toml::de::Error>),
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
}

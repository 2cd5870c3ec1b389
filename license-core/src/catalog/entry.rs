//! The versions of a plan.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Plan;

/// One version of a plan. It never changes; a license keeps the version that it was sold with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanVersion {
    /// The terms.
    pub plan: Arc<Plan>,
    /// The number, from 1.
    pub version: u32,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
}

/// A plan with all its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanEntry {
    /// The name.
    pub name: String,
    /// The name of the product. It never changes.
    pub product: String,
    /// The versions in ascending order, without gaps; at least one.
    pub versions: Vec<PlanVersion>,
    /// When the plan was archived. No license can be sold with it or moved to it; sold licenses go on.
    pub archived_at: Option<DateTime<Utc>>,
    /// The source that manages the plan, such as a file; only that source can change it.
    pub managed_by: Option<String>,
    /// Starts at 1 and grows with every change of the plan.
    pub revision: u64,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
}

impl PlanEntry {
    /// Creates a plan with its first version.
    #[must_use]
    pub fn new(plan: Plan, now: DateTime<Utc>) -> Self {
        Self {
            name: plan.name.clone(),
            product: plan.product.clone(),
            versions: vec![PlanVersion { plan: Arc::new(plan), version: 1, created_at: now }],
            archived_at: None,
            managed_by: None,
            revision: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// Returns the current version.
    ///
    /// # Panics
    /// Panics if `versions` is empty.
    #[must_use]
    pub fn current(&self) -> &PlanVersion {
        self.versions.last().expect("a plan has at least one version")
    }

    /// Returns the version with this number.
    #[must_use]
    pub fn version(&self, number: u32) -> Option<&PlanVersion> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.versions.get(index).filter(|version| version.version == number)
    }

    /// Returns the version after the current one, with these terms.
    pub(crate) fn next_version(&self, plan: Plan, now: DateTime<Utc>) -> PlanVersion {
        let version = self.current().version.saturating_add(1);
        PlanVersion { plan: Arc::new(plan), version, created_at: now }
    }

    /// Returns whether a version defines unusual usage.
    #[must_use]
    pub fn watches_usage(&self) -> bool {
        self.versions.iter().any(|version| version.plan.watches_usage())
    }

    /// Returns whether licenses can be sold with the plan.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.archived_at.is_none()
    }
}

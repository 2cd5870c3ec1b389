//! What a set of plans changes.

use crate::catalog::PlanCatalog;

/// What happened to a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanChange {
    /// It was created.
    Created,
    /// It got a version, in which these fields differ.
    NewVersion {
        /// The number.
        version: u32,
        /// The names of the fields.
        fields: Vec<String>,
    },
    /// It was archived.
    Archived,
    /// It was made available again, without a new version.
    Unarchived,
    /// Its terms and its availability did not change.
    Unchanged,
}

/// A plan, and what happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanDifference {
    /// The name of the plan.
    pub plan: String,
    /// What happened.
    pub change: PlanChange,
}

/// Compares two states of the catalog, plan by plan, sorted by name.
#[must_use]
pub fn plan_differences(before: &PlanCatalog, after: &PlanCatalog) -> Vec<PlanDifference> {
    let change = |entry: &crate::catalog::PlanEntry| {
        let Some(old) = before.entry(&entry.name) else { return PlanChange::Created };
        let (old_version, new_version) = (old.current(), entry.current());
        if old_version.version != new_version.version {
            let fields = old_version.plan.differing_fields(&new_version.plan);
            return PlanChange::NewVersion { version: new_version.version, fields };
        }
        match (old.is_available(), entry.is_available()) {
            (true, false) => PlanChange::Archived,
            (false, true) => PlanChange::Unarchived,
            _ => PlanChange::Unchanged,
        }
    };
    after.entries().map(|entry| PlanDifference { plan: entry.name.clone(), change: change(entry) }).collect()
}

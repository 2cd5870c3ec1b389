//! Validations and rollups.

use std::collections::BTreeMap;

use license_core::license::LicenseId;
use license_core::usage::{RetainedUsage, Rollup, RollupKey, UsageSum, Validation, ValidationOutcome};

#[derive(Debug, Default)]
pub(crate) struct UsageLog {
    /// Not folded yet. Readers fold, because a fold costs more than a validation.
    pub(super) pending: Vec<Validation>,
    pub(super) last_sequence: u64,
    pub(crate) rollups: BTreeMap<RollupKey, UsageSum>,
    /// Sums of deleted rollups.
    pub(crate) pruned: BTreeMap<(LicenseId, ValidationOutcome), UsageSum>,
    pub(super) kept: RetainedUsage,
}

impl UsageLog {
    pub(crate) fn record(&mut self, validations: &[Validation]) {
        self.pending.extend_from_slice(validations);
    }

    /// Returns whether there is a rollup with this key.
    pub(crate) fn has(&self, key: &RollupKey) -> bool {
        self.rollups.contains_key(key)
    }

    /// Adds an imported rollup, unless one exists.
    pub(crate) fn import(&mut self, Rollup { key, sum }: &Rollup) {
        self.rollups.entry(key.clone()).or_insert(*sum);
        self.kept = self.kept.and(RetainedUsage::imported(key.day));
    }

    pub(crate) fn kept(&self) -> &RetainedUsage {
        &self.kept
    }
}

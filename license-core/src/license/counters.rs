//! Counters of validations.

use chrono::{DateTime, Utc};

/// Counters of validations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Number of valid answers.
    pub validation_count: u64,
    /// Time of the latest valid answer.
    pub last_validated_at: Option<DateTime<Utc>>,
    /// All validations recorded before this time are counted; `None` means all are.
    pub as_of: Option<DateTime<Utc>>,
}

impl Counters {
    /// Counts a valid answer.
    pub fn count(&mut self, at: DateTime<Utc>) {
        self.validation_count += 1;
        self.last_validated_at = self.last_validated_at.max(Some(at));
    }

    /// Adds other counters.
    pub fn add(&mut self, other: &Self) {
        self.validation_count += other.validation_count;
        self.last_validated_at = self.last_validated_at.max(other.last_validated_at);
    }
}

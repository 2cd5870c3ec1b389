//! Settings of group commit.

use std::num::NonZero;
use std::time::Duration;

/// When a validation is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// After the commit that counts it.
    #[default]
    Durable,
    /// At once. A store that keeps up writes it within 100 ms; a killed process loses what it had not
    /// written.
    Buffered,
}

/// Settings of a [`GroupCommit`](super::GroupCommit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupCommitOptions {
    /// When a validation is answered.
    pub recording: Recording,
    /// Maximum number of validations in one commit. A single call is never divided.
    pub batch: NonZero<usize>,
    /// Maximum number of commits at the same time. `None` uses
    /// [`StoreProfile::concurrent_commits`](license_core::store::StoreProfile).
    pub commits: Option<NonZero<usize>>,
    /// If a commit takes longer, the store counts as down, and the callers are answered.
    pub deadline: Duration,
    /// Maximum number of validations in memory while the store is down. Beyond it the oldest are dropped,
    /// counted and logged. If it is 0, a validation that cannot be recorded is an error. Also the maximum for
    /// [`Recording::Buffered`]: beyond it, calls wait for the commit.
    pub max_buffered: usize,
}

impl Default for GroupCommitOptions {
    fn default() -> Self {
        Self {
            recording: Recording::default(),
            batch: const { NonZero::new(4_096).unwrap() },
            commits: None,
            deadline: Duration::from_secs(1),
            max_buffered: 100_000,
        }
    }
}

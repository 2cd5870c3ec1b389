//! The storage port of the clock's heartbeat.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::access::AuditEntry;

/// Keeps the heartbeat of the clock, which all nodes share: the time at which a node last had a plausible
/// clock. [`ClockGuard`](crate::clock::ClockGuard) decides when to move it.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ClockStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the heartbeat; `None` in a new database.
    async fn heartbeat(&self) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Moves the heartbeat, and writes the audit entry in the same commit. If the heartbeat is not
    /// `change.from`, returns `false` and writes nothing.
    async fn move_heartbeat(&self, change: &HeartbeatChange) -> Result<bool, StoreError>;
}

/// Arguments of [`ClockStore::move_heartbeat`].
#[derive(Clone, Debug, PartialEq)]
pub struct HeartbeatChange {
    /// The heartbeat that was read.
    pub from: Option<DateTime<Utc>>,
    /// The new heartbeat.
    pub to: DateTime<Utc>,
    /// The audit entry, if an operator moves the heartbeat.
    pub audit: Option<AuditEntry>,
}

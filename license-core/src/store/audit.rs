//! The storage port of the audit log.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Page, PageRequest, StoreError};
use crate::access::{AuditEntry, AuditFilter, Audited, Erasure};

/// Reads and prunes the audit log. Entries are written by the methods that make the changes, in the same
/// commit.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait AuditStore: fmt::Debug + Send + Sync + 'static {
    /// Lists entries that match, newest first. The cursor is the last number of a page.
    async fn list_audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Audited, u64>, StoreError>;

    /// Deletes entries from before a moment, oldest first, at most `limit`. Returns the number deleted.
    async fn prune_audit(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;

    /// Replaces a customer's address in audit entries and in the events of the licenses that these
    /// entries name, removes the metadata of the entries, and adds `entry`.
    async fn erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> Result<(), StoreError>;
}

//! The storage port of the audit log.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Page, PageRequest, StoreError};
use crate::access::{AuditEntry, AuditFilter, Audited, Erasure};

/// Reads and prunes the audit log. Entries of changes are written by the methods that make the changes, in
/// the same commit.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait AuditStore: fmt::Debug + Send + Sync + 'static {
    /// Lists entries that match, newest first. The cursor is the last number of a page.
    async fn list_audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Audited, u64>, StoreError>;

    /// Adds the entry of an action that changes nothing, such as an export.
    async fn add_audit(&self, entry: &AuditEntry) -> Result<(), StoreError>;

    /// Deletes entries from before a moment, oldest first, at most `limit`. Returns the number deleted.
    async fn prune_audit(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;

    /// Erases a customer from the licenses that it belonged to before, and adds `entry`.
    ///
    /// The licenses are those with this [`FormerCustomer`](crate::command::FormerCustomer). In their events
    /// and audit entries, replaces the address. Removes the metadata of their audit entries and the
    /// reasons of their bulk jobs up to the change of the customer, and the answers of receivers in their
    /// deliveries. Then forgets the former
    /// customer.
    async fn erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> Result<(), StoreError>;
}

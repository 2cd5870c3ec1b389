//! Implements `AuditStore`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::{AuditEntry, AuditFilter, Audited, Erasure};
use license_core::store::{AuditStore, Page, PageRequest};

use super::store::MemoryStore;
use crate::Result;

#[async_trait]
impl AuditStore for MemoryStore {
    async fn list_audit(&self, filter: &AuditFilter, page: &PageRequest<u64>) -> Result<Page<Audited, u64>> {
        let data = self.data();
        let below = page.after.unwrap_or(u64::MAX);
        let found = data.audit.entries.range(..below).rev().filter(|(_, entry)| filter.matches(entry));
        let audited =
            |(sequence, entry): (&u64, &AuditEntry)| Audited { sequence: *sequence, entry: entry.clone() };
        let items = found.map(audited).take(page.limit as usize + 1).collect();
        Ok(Page::from_one_more(items, page.limit, |audited: &Audited| audited.sequence))
    }

    async fn add_audit(&self, entry: &AuditEntry) -> Result<()> {
        self.data().audit.add(entry);
        Ok(())
    }

    async fn prune_audit(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let mut data = self.data();
        let mut old: Vec<_> = data
            .audit
            .entries
            .iter()
            .filter(|(_, entry)| entry.at < before)
            .map(|(sequence, entry)| (entry.at, *sequence))
            .collect();
        old.sort_unstable();
        old.truncate(limit as usize);
        for (_, sequence) in &old {
            data.audit.entries.remove(sequence);
        }
        Ok(old.len() as u64)
    }

    async fn erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> Result<()> {
        let mut data = self.data();
        data.erase_former(erasure);
        data.audit.add(entry);
        Ok(())
    }
}

//! The audit log.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use license_core::access::{AuditEntry, Erasure};
use license_core::bulk::BulkJobId;
use license_core::license::LicenseId;

/// Audit entries by number.
#[derive(Debug, Default)]
pub(crate) struct AuditLog {
    pub(super) entries: BTreeMap<u64, AuditEntry>,
    last: u64,
}

impl AuditLog {
    pub(crate) fn add(&mut self, entry: &AuditEntry) {
        self.last += 1;
        self.entries.insert(self.last, entry.clone());
    }

    pub(super) fn extend<'a>(&mut self, entries: impl IntoIterator<Item = &'a AuditEntry>) {
        for entry in entries {
            self.add(entry);
        }
    }

    /// Removes the reason of the entry about a new job.
    pub(super) fn erase_job_reason(&mut self, job: &BulkJobId) {
        let entries = self.entries.values_mut().filter(|entry| entry.created_job() == Some(job.as_str()));
        entries.for_each(|entry| entry.reason = None);
    }

    /// Replaces the address in the entries of a license, and removes their metadata and reasons up to a moment.
    pub(super) fn erase(&mut self, id: &LicenseId, erasure: &Erasure, until: DateTime<Utc>) {
        for entry in self.entries.values_mut().filter(|entry| entry.license_id.as_ref() == Some(id)) {
            if entry.at <= until {
                (entry.metadata, entry.reason) = (None, None);
            }
            entry.changes.values_mut().for_each(|change| _ = erasure.erase_from(change));
        }
    }
}

//! The audit log.

use std::collections::BTreeMap;

use license_core::access::{AuditEntry, Erasure};
use serde_json::Value;

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
}

/// Replaces the address in an entry. Returns whether it was there.
pub(super) fn erase_from(entry: &mut AuditEntry, erasure: &Erasure) -> bool {
    let mut changes = Value::Object(std::mem::take(&mut entry.changes));
    let found = erasure.erase_from(&mut changes);
    if let Value::Object(changes) = changes {
        entry.changes = changes;
    }
    found
}

//! The data of a memory store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use license_core::access::{ApiToken, Erasure, TokenId};
use license_core::bulk::BulkJobId;
use license_core::catalog::PlanCatalog;
use license_core::command::{Changes, Command, CommandContext, FormerCustomer, View};
use license_core::event::Subject;
use license_core::key::KeyDigest;
use license_core::license::{CustomerEmail, ExternalId, License, LicenseId};
use license_core::signing::SigningKeySet;
use license_core::store::{LicenseRecord, StoreError, UsedKeys};
use license_core::usage::{Validation, ValidationCursor, WriterId, fold};

use super::audit_log::AuditLog;
use super::event_log::EventLog;
use super::job_entry::JobEntry;
use super::usage_log::UsageLog;
use crate::Result;

#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) licenses: BTreeMap<LicenseId, LicenseEntry>,
    pub(crate) by_key: HashMap<KeyDigest, LicenseId>,
    pub(crate) by_external_id: HashMap<ExternalId, LicenseId>,
    pub(crate) used_keys: UsedKeys,
    /// The end of the time for which a customer had a license.
    pub(crate) former_customers: BTreeMap<(CustomerEmail, LicenseId), DateTime<Utc>>,
    pub(crate) settings: HashMap<String, Vec<u8>>,
    /// Number of the last batch of each recorder.
    pub(super) last_batches: HashMap<WriterId, u64>,
    pub(crate) tokens: BTreeMap<TokenId, ApiToken>,
    pub(crate) audit: AuditLog,
    pub(crate) events: EventLog,
    pub(crate) usage: UsageLog,
    pub(crate) catalog: Arc<PlanCatalog>,
    pub(crate) jobs: BTreeMap<BulkJobId, JobEntry>,
    pub(crate) signing_keys: Arc<SigningKeySet>,
    pub(super) heartbeat: Option<DateTime<Utc>>,
}

#[derive(Debug)]
pub(crate) struct LicenseEntry {
    pub(crate) record: LicenseRecord,
    /// In the order of recording.
    pub(crate) validations: Vec<(ValidationCursor, Validation)>,
}

impl Data {
    /// Returns what a decision needs.
    pub(crate) fn view(&self, id: &LicenseId, command: &Command, context: &CommandContext) -> Result<View> {
        Ok(self.used_keys.view(self.record(id)?, command, context))
    }

    /// Returns whether another license has the external id of `license`.
    pub(crate) fn has_external_id(&self, license: &License) -> bool {
        let holder = license.external_id.as_ref().and_then(|one| self.by_external_id.get(one));
        holder.is_some_and(|holder| *holder != license.id)
    }

    pub(crate) fn record(&self, id: &LicenseId) -> Result<&LicenseRecord> {
        let entry = self.licenses.get(id).ok_or_else(|| StoreError::NotFound { id: id.clone() })?;
        Ok(&entry.record)
    }

    pub(super) fn insert(&mut self, record: LicenseRecord) {
        let license = record.license();
        self.by_key.insert(license.key_digest, license.id.clone());
        if let Some(external_id) = &license.external_id {
            self.by_external_id.insert(external_id.clone(), license.id.clone());
        }
        self.licenses.insert(license.id.clone(), LicenseEntry { record, validations: Vec::new() });
    }

    /// Writes a decision.
    pub(crate) fn apply(&mut self, id: &LicenseId, changes: &Changes) -> Result<()> {
        let digest = changes.license.key_digest;
        let License { key_digest: before, external_id, .. } = &**self.record(id)?.license();
        let (before, external_id) = (*before, external_id.clone());
        if digest != before {
            if self.by_key.contains_key(&digest) {
                return Err(StoreError::AlreadyExists { what: "the license key" });
            }
            self.by_key.remove(&before);
            self.by_key.insert(digest, id.clone());
        }
        if let Some(before) = &external_id {
            self.by_external_id.remove(before);
        }
        if let Some(external_id) = &changes.license.external_id {
            self.by_external_id.insert(external_id.clone(), id.clone());
        }
        let Some(entry) = self.licenses.get_mut(id) else { return Ok(()) };
        let events = entry.record.apply(changes);
        self.used_keys.add_changes(changes, &events);
        self.events.append(events);
        if let Some(FormerCustomer { email, until }) = &changes.former_customer {
            self.former_customers.insert((email.clone(), id.clone()), *until);
        }
        if let Some(audit) = &changes.audit {
            self.audit.add(audit);
        }
        if let Some(erasure) = &changes.erased {
            self.erase(id, erasure);
        }
        Ok(())
    }

    /// Folds recorded validations and moves them to the histories. Ignores those of unknown licenses.
    pub(crate) fn catch_up(&mut self) {
        let mut pending = std::mem::take(&mut self.usage.pending);
        pending.retain(|validation| self.licenses.contains_key(&validation.license_id));
        let fold = fold(&pending);
        for (key, sum) in &fold.rollups {
            self.usage.rollups.entry(key.clone()).and_modify(|sums| sums.add(sum)).or_insert(*sum);
        }
        for id in fold.counters.keys() {
            if let Some(entry) = self.licenses.get_mut(id) {
                entry.record.record(&fold);
            }
        }
        for validation in pending {
            self.usage.last_sequence += 1;
            let cursor = ValidationCursor { at: validation.at, sequence: self.usage.last_sequence };
            if let Some(entry) = self.licenses.get_mut(&validation.license_id) {
                entry.validations.push((cursor, validation));
            }
        }
    }

    /// Replaces a customer's address in the events and audit entries of a license.
    pub(crate) fn erase(&mut self, id: &LicenseId, erasure: &Erasure) {
        self.events.erase(&Subject::License(id.clone()), erasure);
        self.audit.erase(id, erasure, DateTime::<Utc>::MAX_UTC);
        self.erase_job_reasons(id, DateTime::<Utc>::MAX_UTC);
    }

    /// Replaces the address of a former customer in its licenses.
    pub(crate) fn erase_former(&mut self, erasure: &Erasure) {
        let Erasure { email, .. } = erasure;
        let mut found = std::mem::take(&mut self.former_customers);
        found.retain(|(former, id), until| {
            if former == email {
                self.events.erase(&Subject::License(id.clone()), erasure);
                self.audit.erase(id, erasure, *until);
                self.erase_job_reasons(id, *until);
            }
            former != email
        });
        self.former_customers = found;
    }
}

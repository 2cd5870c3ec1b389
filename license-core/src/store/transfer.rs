//! The storage port of export and import.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::access::AuditEntry;
use crate::license::{ActivationId, Counters, Lease, LeaseId, License, LicenseId};
use crate::transfer::{ImportBatch, Imported, ImportedRollup, RollupBatch, TrialClaimBatch};
use crate::trial::{TrialClaim, TrialDigest};
use crate::usage::{ActivationDetail, Rollup, RollupKey};

/// Imports many licenses at once, and exports all.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait TransferStore: fmt::Debug + Send + Sync + 'static {
    /// Stores the licenses of the batch that do not exist yet, with their activations, leases, events and
    /// [audit entry](ImportBatch::audit), and returns the result for each license, in order.
    ///
    /// Reads existing ids and keys in the same transaction, and writes what [`ImportBatch::settle`] decides.
    /// Existing licenses are not changed. The trial claims of new licenses are stored unless their digests
    /// are claimed. A device that was never seen counts as seen at [`ImportBatch::at`], so that it is not
    /// idle at once. If no license is new, nothing is written. The change stream announces the [new
    /// ones](ImportBatch::notices).
    async fn import(&self, batch: &ImportBatch) -> Result<Vec<Imported>, StoreError>;

    /// Returns what [`import`](Self::import) would return now. Writes nothing.
    async fn dry_run(&self, batch: &ImportBatch) -> Result<Vec<Imported>, StoreError>;

    /// Stores rollups whose key does not exist yet and whose license exists, and returns the result for each,
    /// in order. If one is new, also writes the [audit entry](RollupBatch::audit) in the same commit, and
    /// from then on the single validations of these days count as
    /// [incomplete](crate::usage::RetainedUsage::imported).
    async fn import_rollups(&self, batch: &RollupBatch) -> Result<Vec<ImportedRollup>, StoreError>;

    /// Returns what [`import_rollups`](Self::import_rollups) would return now. Writes nothing.
    async fn dry_run_rollups(&self, rollups: &[Rollup]) -> Result<Vec<ImportedRollup>, StoreError>;

    /// Starts reading all licenses, activations and rollups as of one moment. Later commits are not seen.
    async fn snapshot<'a>(&'a self) -> Result<Box<dyn TransferSnapshot + 'a>, StoreError>;

    /// As [`put_if_absent`](super::LicenseStore::put_if_absent). If the setting is new, also writes the audit
    /// entry in the same commit.
    async fn declare_setting(
        &self,
        name: &str,
        value: &[u8],
        audit: Option<AuditEntry>,
    ) -> Result<Vec<u8>, StoreError>;

    /// Replaces the value of a setting, and writes the audit entry in the same commit. If the value is not
    /// `change.from`, returns `false` and writes nothing.
    async fn replace_setting(&self, change: &SettingChange) -> Result<bool, StoreError>;

    /// Lists settings whose name starts with `prefix`: name and value, ordered by name.
    async fn settings_with_prefix(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// Stores the trial claims whose digests are not claimed, and the [audit entry](TrialClaimBatch::audit)
    /// of the batch in the same commit. Returns the number of new claims. The license of a claim need not
    /// exist.
    async fn import_trial_claims(&self, batch: &TrialClaimBatch) -> Result<u64, StoreError>;

    /// Returns what [`import_trial_claims`](Self::import_trial_claims) would return now. Writes nothing.
    async fn dry_run_trial_claims(&self, claims: &[TrialClaim]) -> Result<u64, StoreError>;
}

/// All licenses as of one moment, read in small pages.
#[async_trait]
pub trait TransferSnapshot: Send {
    /// Lists licenses after an id, in ascending order, at most `limit`.
    ///
    /// # Errors
    /// Returns [`StoreError::Unavailable`] also if the snapshot is lost, for example with its connection.
    async fn licenses(
        &mut self,
        after: Option<&LicenseId>,
        limit: u32,
    ) -> Result<Vec<(Arc<License>, Counters)>, StoreError>;

    /// Lists activations after a license id and activation id, in ascending order, at most `limit`, with
    /// last-seen data. Validations that are not compacted yet are counted.
    ///
    /// # Errors
    /// As [`licenses`](Self::licenses).
    async fn activations(
        &mut self,
        after: Option<(&LicenseId, &ActivationId)>,
        limit: u32,
    ) -> Result<Vec<(LicenseId, ActivationDetail)>, StoreError>;

    /// Lists rollups after a key, in ascending order, at most `limit`. Validations that are not compacted yet
    /// are counted.
    ///
    /// # Errors
    /// As [`licenses`](Self::licenses).
    async fn rollups(&mut self, after: Option<&RollupKey>, limit: u32) -> Result<Vec<Rollup>, StoreError>;

    /// Lists trial claims after a digest, in ascending order, at most `limit`.
    ///
    /// # Errors
    /// As [`licenses`](Self::licenses).
    async fn trial_claims(
        &mut self,
        after: Option<&TrialDigest>,
        limit: u32,
    ) -> Result<Vec<TrialClaim>, StoreError>;

    /// Lists leases that software may still accept at `now`, after a license id and lease id, in ascending
    /// order, at most `limit`.
    ///
    /// # Errors
    /// As [`licenses`](Self::licenses).
    async fn leases(
        &mut self,
        after: Option<(&LicenseId, &LeaseId)>,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Lease>, StoreError>;
}

/// Arguments of [`TransferStore::replace_setting`].
#[derive(Clone, Debug, PartialEq)]
pub struct SettingChange {
    /// Name of the setting.
    pub name: String,
    /// The value that was read.
    pub from: Vec<u8>,
    /// The new value.
    pub to: Vec<u8>,
    /// The audit entry.
    pub audit: AuditEntry,
}

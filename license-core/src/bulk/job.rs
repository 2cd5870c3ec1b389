//! A job and its progress.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::action::{BulkAction, LicenseOutcome};
use crate::access::{Actor, AuditEntry, JOB_CREATED};
use crate::command::Idempotency;
use crate::id::BulkJobId;
use crate::license::{LicenseId, Reason};
use crate::text_enum::text_enum;
use crate::validation::DenialCode;

text_enum! {
    /// The status of a job.
    BulkJobStatus {
        /// Some licenses wait for the action.
        Running = "running",
        /// Each license has an outcome.
        Completed = "completed",
        /// Canceled by a caller. Licenses without an outcome keep their state.
        Canceled = "canceled",
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkJob {
    /// The id.
    pub id: BulkJobId,
    /// The action.
    pub action: BulkAction,
    /// The status.
    pub status: BulkJobStatus,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Time of completion or cancellation.
    pub finished_at: Option<DateTime<Utc>>,
    /// The creator, for the audit of each command; `None` if the commands are not audited.
    pub by: Option<Actor>,
    /// How many licenses have which outcome.
    pub progress: BulkProgress,
    /// The reason that the creator gave. Erasing the customer of one of the licenses removes it.
    pub reason: Option<Reason>,
}

/// The number of licenses of a job, by outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkProgress {
    /// Licenses without an outcome.
    pub open: u64,
    /// Licenses with each outcome.
    pub outcomes: BTreeMap<LicenseOutcome, u64>,
}

impl BulkProgress {
    /// Returns the number of licenses of the job.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.open + self.outcomes.values().sum::<u64>()
    }

    /// Returns the number of licenses with this outcome.
    #[must_use]
    pub fn count(&self, outcome: LicenseOutcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or_default()
    }

    /// Returns the number of denied licenses for each code, in the order of the codes.
    pub fn denied(&self) -> impl Iterator<Item = (DenialCode, u64)> {
        self.outcomes.iter().filter_map(|(outcome, count)| match outcome {
            LicenseOutcome::Denied(code) => Some((*code, *count)),
            LicenseOutcome::Done | LicenseOutcome::NotFound | LicenseOutcome::Failed => None,
        })
    }
}

/// A job to create, with everything but the licenses that goes into the same commit.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBulkJob {
    /// The id.
    pub id: BulkJobId,
    /// The action.
    pub action: BulkAction,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// The creator.
    pub by: Option<Actor>,
    /// The idempotency key of the request, if any.
    pub idempotency: Option<Idempotency>,
    /// The reason for the action, for the license, the events and the audit.
    pub reason: Option<Reason>,
}

impl NewBulkJob {
    /// Returns the job with this number of licenses, as it is after the commit. A job without licenses is
    /// completed, except one of [`BulkAction::ApplyPlan`], which looks for licenses again.
    #[must_use]
    pub fn created(&self, licenses: u64) -> BulkJob {
        let Self { id, action, created_at, by, idempotency: _, reason } = self.clone();
        let is_running = licenses > 0 || action.plan_version().is_some();
        let status = if is_running { BulkJobStatus::Running } else { BulkJobStatus::Completed };
        let finished_at = (status != BulkJobStatus::Running).then_some(created_at);
        let progress = BulkProgress { open: licenses, ..BulkProgress::default() };
        BulkJob { id, action, status, created_at, finished_at, by, progress, reason }
    }

    /// Returns the audit entry of the creation with this number of licenses, for the same commit.
    #[must_use]
    pub fn audit(&self, licenses: u64) -> Option<AuditEntry> {
        let by = self.by.as_ref()?;
        let mut changes = json!({
            "job": { "before": null, "after": self.id.as_str() },
            "action": { "before": null, "after": self.action.name() },
            "licenses": { "before": null, "after": licenses },
        });
        if let Some(plan) = self.action.plan() {
            changes["plan"] = json!({ "before": null, "after": plan });
        }
        if let Some(version) = self.action.plan_version() {
            changes["plan_version"] = json!({ "before": null, "after": version });
        }
        let entry = AuditEntry::of_job(JOB_CREATED, changes, by, self.created_at);
        Some(AuditEntry { reason: self.reason.clone(), ..entry })
    }
}

impl BulkJob {
    /// Returns the job after its cancellation, and the audit entry. Returns `None` if it is finished. Pure.
    #[must_use]
    pub fn canceled(&self, by: &Actor, now: DateTime<Utc>) -> Option<(Self, AuditEntry)> {
        if self.status != BulkJobStatus::Running {
            return None;
        }
        let status = BulkJobStatus::Canceled;
        let changes = json!({
            "job": { "before": self.id.as_str(), "after": self.id.as_str() },
            "status": { "before": self.status.as_str(), "after": status.as_str() },
        });
        let audit = AuditEntry::of_job("job.cancel", changes, by, now);
        Some((Self { status, finished_at: Some(now), ..self.clone() }, audit))
    }
}

/// The result of creating a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreatedJob {
    /// The job was created.
    New,
    /// An earlier request with the same idempotency key and content created this job.
    Existing(BulkJobId),
    /// The idempotency key was used for another request.
    KeyReused,
    /// The search finds another number of licenses than the caller expects. Nothing was created.
    CountDiffers {
        /// Licenses that match, at most one more than [`BULK_JOB_LICENSES`](crate::limits::BULK_JOB_LICENSES).
        matched: u64,
    },
}

/// The next licenses of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkJobStep {
    /// The job.
    pub id: BulkJobId,
    /// Its action.
    pub action: BulkAction,
    /// Its creator.
    pub by: Option<Actor>,
    /// Licenses without an outcome.
    pub licenses: Vec<LicenseId>,
    /// The reason for the action.
    pub reason: Option<Reason>,
}

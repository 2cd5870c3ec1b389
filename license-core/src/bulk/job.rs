//! A job and its progress.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::action::{BulkAction, LicenseOutcome};
use crate::access::{Actor, AuditEntry};
use crate::command::Idempotency;
use crate::id::BulkJobId;
use crate::license::LicenseId;
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

/// A job to create, with everything that goes into the same commit.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBulkJob {
    /// The id.
    pub id: BulkJobId,
    /// The action.
    pub action: BulkAction,
    /// The licenses, each once.
    pub licenses: Vec<LicenseId>,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// The creator.
    pub by: Option<Actor>,
    /// The idempotency key of the request, if any.
    pub idempotency: Option<Idempotency>,
}

impl NewBulkJob {
    /// Returns the status of the new job. A job without licenses is completed.
    #[must_use]
    pub fn status(&self) -> BulkJobStatus {
        if self.licenses.is_empty() { BulkJobStatus::Completed } else { BulkJobStatus::Running }
    }

    /// Returns the audit entry of the creation, which goes into the same commit.
    #[must_use]
    pub fn audit(&self) -> Option<AuditEntry> {
        let by = self.by.as_ref()?;
        let mut changes = json!({
            "job": { "before": null, "after": self.id.as_str() },
            "action": { "before": null, "after": self.action.name() },
            "licenses": { "before": null, "after": self.licenses.len() },
        });
        if let Some(plan) = self.action.plan() {
            changes["plan"] = json!({ "before": null, "after": plan });
        }
        Some(AuditEntry::of_job("job.create", changes, by, self.created_at))
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
}

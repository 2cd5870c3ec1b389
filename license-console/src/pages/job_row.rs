//! A job as a row of a list, and on its own page.

use chrono::{DateTime, Utc};
use license_core::access::Principal;
use license_core::bulk::{BulkJob, BulkJobStatus, LicenseOutcome};

use crate::bulk_action::{label, why};
use crate::moment::Moment;
use crate::numbers::{counted, grouped};

/// A job in words.
#[derive(Clone, Debug)]
pub(crate) struct JobRow {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) status: &'static str,
    pub(crate) is_running: bool,
    /// Numbers for the bar of the progress.
    pub(crate) total_number: u64,
    pub(crate) settled_number: u64,
    pub(crate) total: String,
    pub(crate) open: String,
    pub(crate) done: String,
    pub(crate) refused: String,
    /// How many licenses did not get the action, and why.
    pub(crate) reasons: Vec<(String, &'static str)>,
    pub(crate) by: String,
    pub(crate) reason: String,
    pub(crate) created: Moment,
    pub(crate) finished: Option<Moment>,
}

impl JobRow {
    pub(crate) fn new(job: &BulkJob, now: DateTime<Utc>) -> Self {
        let BulkJob { id, action, status, created_at, finished_at, by, progress, reason } = job;
        let (total, done) = (progress.total(), progress.count(LicenseOutcome::Done));
        let refused = progress.outcomes.iter().filter(|(outcome, _)| **outcome != LicenseOutcome::Done);
        let principal = by.as_ref().map(|by| &by.principal);
        Self {
            id: id.to_string(),
            label: label(action),
            status: status.as_str(),
            is_running: *status == BulkJobStatus::Running,
            total_number: total,
            settled_number: total - progress.open,
            total: counted(total, "license"),
            open: grouped(progress.open),
            done: grouped(done),
            refused: grouped(total - progress.open - done),
            reasons: refused
                .map(|(outcome, count)| (counted(*count, "license"), refusal(*outcome)))
                .collect(),
            by: principal.map_or("", |principal| who(principal)).to_owned(),
            reason: reason.as_ref().map(ToString::to_string).unwrap_or_default(),
            created: Moment::new(*created_at, now),
            finished: finished_at.map(|at| Moment::new(at, now)),
        }
    }

    /// Returns what happened, after the end of the job.
    pub(crate) fn summary(&self) -> Option<String> {
        let end =
            if self.status == BulkJobStatus::Canceled.as_str() { "was canceled" } else { "is completed" };
        let Self { done, refused, open, .. } = self;
        (!self.is_running)
            .then(|| format!("The job {end}. Done: {done}. Refused: {refused}. Not reached: {open}."))
    }
}

/// Returns why a license did not get the action.
pub(crate) fn refusal(outcome: LicenseOutcome) -> &'static str {
    match outcome {
        LicenseOutcome::Done => "Done.",
        LicenseOutcome::Denied(code) => why(code),
        LicenseOutcome::NotFound => "There is no such license.",
        LicenseOutcome::Failed => "Its row in the database is damaged. The log of the server has the cause.",
    }
}

fn who(principal: &Principal) -> &str {
    principal.name().unwrap_or(principal.kind())
}

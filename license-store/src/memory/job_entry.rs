//! A bulk job of a memory store.

use std::collections::BTreeMap;
use std::ops::Bound;

use license_core::bulk::{BulkJob, BulkJobStatus, BulkProgress, LicenseOutcome, NewBulkJob, RefusedLicense};
use license_core::command::Idempotency;
use license_core::license::LicenseId;

/// A job and its licenses.
#[derive(Debug)]
pub(crate) struct JobEntry {
    /// The job. Its progress is computed when it is read.
    pub(crate) job: BulkJob,
    pub(crate) licenses: BTreeMap<LicenseId, Option<LicenseOutcome>>,
    pub(super) idempotency: Option<Idempotency>,
}

impl JobEntry {
    pub(super) fn new(new: &NewBulkJob, licenses: Vec<LicenseId>) -> Self {
        let job = new.created(licenses.len() as u64);
        let licenses = licenses.into_iter().map(|id| (id, None)).collect();
        Self { job, licenses, idempotency: new.idempotency }
    }

    /// Returns the job with its progress.
    pub(super) fn job(&self) -> BulkJob {
        let mut progress = BulkProgress::default();
        for outcome in self.licenses.values() {
            match outcome {
                None => progress.open += 1,
                Some(outcome) => *progress.outcomes.entry(*outcome).or_default() += 1,
            }
        }
        BulkJob { progress, ..self.job.clone() }
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &LicenseId> {
        self.licenses.iter().filter(|(_, outcome)| outcome.is_none()).map(|(id, _)| id)
    }

    /// Returns the licenses after `after` that did not get the action.
    pub(super) fn refused(&self, after: Option<&LicenseId>) -> impl Iterator<Item = RefusedLicense> {
        let above = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.licenses.range((above, Bound::Unbounded)).filter_map(|(id, outcome)| {
            let outcome = (*outcome)?;
            (outcome != LicenseOutcome::Done).then(|| RefusedLicense { id: id.clone(), outcome })
        })
    }

    pub(super) fn is_running(&self) -> bool {
        self.job.status == BulkJobStatus::Running
    }
}

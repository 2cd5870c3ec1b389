//! Implements `BulkJobStore`.

use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::Actor;
use license_core::bulk::{
    BulkJob, BulkJobId, BulkJobStatus, BulkJobStep, BulkProgress, CreatedJob, LicenseOutcome, NewBulkJob,
};
use license_core::command::Idempotency;
use license_core::license::LicenseId;
use license_core::store::{BulkJobStore, StoreError};

use super::store::MemoryStore;
use crate::Result;

/// A job and its licenses.
#[derive(Debug)]
pub(crate) struct JobEntry {
    /// The job. Its progress is computed when it is read.
    job: BulkJob,
    pub(crate) licenses: BTreeMap<LicenseId, Option<LicenseOutcome>>,
    idempotency: Option<Idempotency>,
}

impl JobEntry {
    fn new(new: &NewBulkJob) -> Self {
        let NewBulkJob { id, action, licenses, created_at, by, idempotency } = new.clone();
        let status = new.status();
        let finished_at = (status != BulkJobStatus::Running).then_some(created_at);
        let progress = BulkProgress::default();
        let job = BulkJob { id, action, status, created_at, finished_at, by, progress };
        Self { job, licenses: licenses.into_iter().map(|id| (id, None)).collect(), idempotency }
    }

    fn job(&self) -> BulkJob {
        let mut progress = BulkProgress::default();
        for outcome in self.licenses.values() {
            match outcome {
                None => progress.open += 1,
                Some(outcome) => *progress.outcomes.entry(*outcome).or_default() += 1,
            }
        }
        BulkJob { progress, ..self.job.clone() }
    }

    fn open(&self) -> impl Iterator<Item = &LicenseId> {
        self.licenses.iter().filter(|(_, outcome)| outcome.is_none()).map(|(id, _)| id)
    }

    fn is_running(&self) -> bool {
        self.job.status == BulkJobStatus::Running
    }
}

#[async_trait]
impl BulkJobStore for MemoryStore {
    async fn create_job(&self, new: &NewBulkJob) -> Result<CreatedJob> {
        let mut data = self.data();
        if let Some(asked) = &new.idempotency {
            let used = data.jobs.values().find_map(|entry| {
                let used = entry.idempotency.as_ref().filter(|used| used.key == asked.key)?;
                Some((entry.job.id.clone(), used.request))
            });
            if let Some((first, request)) = used {
                let is_same = request == asked.request;
                return Ok(if is_same { CreatedJob::Existing(first) } else { CreatedJob::KeyReused });
            }
        }
        if data.jobs.contains_key(&new.id) {
            return Err(StoreError::AlreadyExists { what: "the job id" });
        }
        data.jobs.insert(new.id.clone(), JobEntry::new(new));
        if let Some(audit) = new.audit() {
            data.audit.add(&audit);
        }
        Ok(CreatedJob::New)
    }

    async fn get_job(&self, id: &BulkJobId) -> Result<Option<BulkJob>> {
        Ok(self.data().jobs.get(id).map(JobEntry::job))
    }

    async fn cancel_job(&self, id: &BulkJobId, by: &Actor, now: DateTime<Utc>) -> Result<Option<BulkJob>> {
        let mut data = self.data();
        let Some(entry) = data.jobs.get_mut(id) else { return Ok(None) };
        let job = entry.job();
        let Some((canceled, audit)) = job.canceled(by, now) else { return Ok(Some(job)) };
        entry.job = canceled.clone();
        data.audit.add(&audit);
        Ok(Some(canceled))
    }

    async fn next_job_step(&self, after: Option<BulkJobId>, limit: u32) -> Result<Option<BulkJobStep>> {
        let data = self.data();
        let above = after.map_or(Bound::Unbounded, Bound::Excluded);
        let after = data.jobs.range((above, Bound::Unbounded)).map(|(_, entry)| entry);
        let next = after.chain(data.jobs.values()).find(|entry| entry.is_running());
        Ok(next.map(|entry| {
            let BulkJob { id, action, by, .. } = entry.job.clone();
            BulkJobStep { id, action, by, licenses: entry.open().take(limit as usize).cloned().collect() }
        }))
    }

    async fn settle_job_step(
        &self,
        id: &BulkJobId,
        outcomes: &[(LicenseId, LicenseOutcome)],
        now: DateTime<Utc>,
    ) -> Result<()> {
        let mut data = self.data();
        let Some(entry) = data.jobs.get_mut(id) else { return Ok(()) };
        for (license, outcome) in outcomes {
            if let Some(known) = entry.licenses.get_mut(license) {
                known.get_or_insert(*outcome);
            }
        }
        if entry.is_running() && entry.open().next().is_none() {
            (entry.job.status, entry.job.finished_at) = (BulkJobStatus::Completed, Some(now));
        }
        Ok(())
    }

    async fn prune_jobs(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let mut data = self.data();
        let finished =
            data.jobs.values_mut().filter(|entry| entry.job.finished_at.is_some_and(|at| at < before));
        let Some(entry) = finished.min_by_key(|entry| entry.job.finished_at) else { return Ok(0) };
        let ids: Vec<_> = entry.licenses.keys().take(limit as usize).cloned().collect();
        entry.licenses.retain(|id, _| !ids.contains(id));
        let id = entry.job.id.clone();
        let mut deleted = ids.len() as u64;
        if deleted < u64::from(limit) {
            data.jobs.remove(&id);
            deleted += 1;
        }
        Ok(deleted)
    }
}

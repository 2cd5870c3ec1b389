//! Implements `BulkJobStore`.

use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::Actor;
use license_core::bulk::{
    BulkAction, BulkJob, BulkJobId, BulkJobStatus, BulkJobStep, CreatedJob, LicenseOutcome, NewBulkJob,
    RefusedLicense,
};
use license_core::license::{LicenseId, LicenseState};
use license_core::store::{BulkJobStore, JobLicenses, Page, PageRequest, StoreError};

use super::data::Data;
use super::job_entry::JobEntry;
use super::store::MemoryStore;
use crate::Result;

impl Data {
    /// Stores a job and its audit entry.
    pub(super) fn insert_job(&mut self, new: &NewBulkJob, licenses: Vec<LicenseId>) -> Result<()> {
        if self.jobs.contains_key(&new.id) {
            return Err(StoreError::AlreadyExists { what: "the job id" });
        }
        self.audit.extend(&new.audit(licenses.len() as u64));
        self.jobs.insert(new.id.clone(), JobEntry::new(new, licenses));
        Ok(())
    }

    /// Returns the licenses to which a job of [`BulkAction::ApplyPlan`] applies now.
    pub(super) fn of_older_versions(&self, action: &BulkAction) -> Vec<LicenseId> {
        let BulkAction::ApplyPlan { plan, version } = action else { return Vec::new() };
        let licenses = self.licenses.values().map(|entry| entry.record.license());
        let older = licenses.filter(|license| {
            license.plan == *plan && license.plan_version < *version && license.state != LicenseState::Revoked
        });
        older.map(|license| license.id.clone()).collect()
    }

    /// Removes the reasons of the jobs that a license has, up to a moment.
    pub(super) fn erase_job_reasons(&mut self, id: &LicenseId, until: DateTime<Utc>) {
        let jobs = self.jobs.values_mut().filter(|entry| entry.licenses.contains_key(id));
        for entry in jobs.filter(|entry| entry.job.created_at <= until) {
            entry.job.reason = None;
            self.audit.erase_job_reason(&entry.job.id);
        }
    }
}

#[async_trait]
impl BulkJobStore for MemoryStore {
    async fn create_job(&self, new: &NewBulkJob, licenses: &JobLicenses) -> Result<CreatedJob> {
        let mut data = self.current();
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
        let ids = match licenses {
            JobLicenses::Ids(ids) => ids.clone(),
            JobLicenses::Search { filter, expect } => {
                let ids: Vec<_> = data.matching(filter, new.created_at).cloned().collect();
                if ids.len() as u64 != *expect {
                    return Ok(CreatedJob::CountDiffers { matched: ids.len() as u64 });
                }
                ids
            }
        };
        data.insert_job(new, ids)?;
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
            let BulkJob { id, action, by, reason, .. } = entry.job.clone();
            let licenses = entry.open().take(limit as usize).cloned().collect();
            BulkJobStep { id, action, by, licenses, reason }
        }))
    }

    async fn settle_job_step(
        &self,
        id: &BulkJobId,
        outcomes: &[(LicenseId, LicenseOutcome)],
        now: DateTime<Utc>,
    ) -> Result<()> {
        let mut data = self.data();
        let late = data.jobs.get(id).map(|entry| data.of_older_versions(&entry.job.action));
        let Some(entry) = data.jobs.get_mut(id) else { return Ok(()) };
        for (license, outcome) in outcomes {
            if let Some(known) = entry.licenses.get_mut(license) {
                known.get_or_insert(*outcome);
            }
        }
        if entry.is_running() && entry.open().next().is_none() {
            for license in late.into_iter().flatten() {
                entry.licenses.entry(license).or_default();
            }
        }
        let can_complete = now >= entry.job.action.completes_from(entry.job.created_at);
        if entry.is_running() && can_complete && entry.open().next().is_none() {
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
        // Without its licenses, no erasure would find the reason.
        entry.job.reason = None;
        let mut deleted = ids.len() as u64;
        if deleted < u64::from(limit) {
            data.jobs.remove(&id);
            deleted += 1;
        }
        data.audit.erase_job_reason(&id);
        Ok(deleted)
    }

    async fn list_jobs(&self, page: &PageRequest<BulkJobId>) -> Result<Page<BulkJob, BulkJobId>> {
        let data = self.data();
        let below = page.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let jobs = data.jobs.range((Bound::Unbounded, below)).rev().map(|(_, entry)| entry.job());
        let found = jobs.take(page.limit as usize + 1).collect();
        Ok(Page::from_one_more(found, page.limit, |job| job.id.clone()))
    }

    async fn list_refused(
        &self,
        id: &BulkJobId,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<RefusedLicense, LicenseId>> {
        let data = self.data();
        let Some(entry) = data.jobs.get(id) else { return Ok(Page::default()) };
        let found = entry.refused(page.after.as_ref()).take(page.limit as usize + 1).collect();
        Ok(Page::from_one_more(found, page.limit, |refused| refused.id.clone()))
    }
}

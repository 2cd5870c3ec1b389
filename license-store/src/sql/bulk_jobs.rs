//! Implements `BulkJobStore`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::Actor;
use license_core::bulk::{
    BulkAction, BulkJob, BulkJobId, BulkJobStatus, BulkJobStep, CreatedJob, LicenseOutcome, NewBulkJob,
    RefusedLicense,
};
use license_core::command::Idempotency;
use license_core::license::LicenseId;
use license_core::limits;
use license_core::store::{BulkJobStore, JobLicenses, Page, PageRequest, SearchFilter};

use super::prelude::*;
use super::rows::job_values;
use super::search::unsorted;
use super::statements::SearchSql;
use super::store::SqlStore;

/// One more license than a job by search can have.
const MOST_MATCHES: u64 = limits::BULK_JOB_LICENSES as u64 + 1;

impl<D: Dialect> SqlDatabase<D> {
    async fn try_create_job(&self, new: &NewBulkJob, licenses: &JobLicenses) -> Result<CreatedJob> {
        let (mut tx, sql) = (self.begin(Durability::PowerLoss).await?, &self.sql.bulk_jobs);
        if !self.insert_job(&mut tx, new).await? {
            let existing = self.find_job_by_key(&mut tx, new.idempotency.as_ref()).await?;
            return existing.ok_or(StoreError::AlreadyExists { what: "the job id" });
        }
        match licenses {
            JobLicenses::Ids(ids) => {
                let rows = json_rows(ids.iter().map(|id| json!([id.as_str()])));
                self.fetch(&mut tx, &sql.insert_licenses, values![rows, new.id.as_str()]).await?;
            }
            JobLicenses::Search { filter, .. } => self.insert_matching(&mut tx, new, filter).await?,
        }
        let count = self.complete_new_job(&mut tx, new).await?;
        if let JobLicenses::Search { expect, .. } = licenses
            && count != *expect
        {
            return Ok(CreatedJob::CountDiffers { matched: count });
        }
        self.commit(tx).await?;
        Ok(CreatedJob::New)
    }

    /// Creates a job of [`BulkAction::ApplyPlan`] in the commit of the change of its plan.
    pub(super) async fn create_plan_job(&self, tx: &mut Tx<D>, new: &NewBulkJob) -> Result<()> {
        if !self.insert_job(tx, new).await? {
            return Err(StoreError::AlreadyExists { what: "the job id" });
        }
        self.insert_older(tx, &new.id, &new.action).await?;
        self.complete_new_job(tx, new).await.map(drop)
    }

    /// Inserts a job, unless its id or its idempotency key is taken. Returns whether it did.
    async fn insert_job(&self, tx: &mut Tx<D>, new: &NewBulkJob) -> Result<bool> {
        let rows = self.fetch(tx, &self.sql.bulk_jobs.insert, &job_values(new)).await?;
        Ok(!rows.is_empty())
    }

    /// Writes the audit entry of a new job, and completes it if it has nothing to do. Returns the number of
    /// its licenses.
    async fn complete_new_job(&self, tx: &mut Tx<D>, new: &NewBulkJob) -> Result<u64> {
        let rows = self.fetch(tx, &self.sql.bulk_jobs.count_licenses, values![new.id.as_str()]).await?;
        let count = rows.count("bulk_job_licenses", "n")?;
        let BulkJob { status, finished_at, .. } = new.created(count);
        if let Some(finished_at) = finished_at {
            self.finish_job(tx, &new.id, status, finished_at).await?;
        }
        if let Some(audit) = new.audit(count) {
            self.insert_audit(tx, &audit).await?;
        }
        Ok(count)
    }

    /// Adds the licenses that match a filter to a job, at most one more than a job can have.
    async fn insert_matching(&self, tx: &mut Tx<D>, new: &NewBulkJob, filter: &SearchFilter) -> Result<()> {
        // PostgreSQL rejects NUL.
        if filter.has_nul() {
            return Ok(());
        }
        let query = unsorted(filter, new.created_at);
        let search = SearchSql::new(&query);
        let source = self.source_of_all(tx, &search).await?;
        let (sql, values) = search.insert_into_job::<D>(source, new.id.as_str(), MOST_MATCHES);
        self.fetch(tx, &sql, &values).await.map(drop)
    }

    /// Adds the licenses of older versions to a job of [`BulkAction::ApplyPlan`].
    async fn insert_older(&self, tx: &mut Tx<D>, id: &BulkJobId, action: &BulkAction) -> Result<()> {
        let BulkAction::ApplyPlan { plan, version } = action else { return Ok(()) };
        let values = values![id.as_str(), plan.as_str(), i64::from(*version)];
        self.fetch(tx, &self.sql.bulk_jobs.insert_older, values).await.map(drop)
    }

    /// Returns the answer to a request if an earlier one has its idempotency key.
    async fn find_job_by_key(
        &self,
        connection: &mut Connection<D>,
        asked: Option<&Idempotency>,
    ) -> Result<Option<CreatedJob>> {
        let Some(asked) = asked else { return Ok(None) };
        let values = values![asked.key.as_bytes().as_slice()];
        let rows = self.fetch(connection, &self.sql.bulk_jobs.find_by_key, values).await?;
        let first = rows.first("bulk_jobs", "", |row| Ok((row.job_id()?, row.digest("request")?)))?;
        Ok(first.map(
            |(id, request)| {
                if request == asked.request { CreatedJob::Existing(id) } else { CreatedJob::KeyReused }
            },
        ))
    }

    /// Counts the licenses of a search before the writer is taken, so that a broad search ends at the time
    /// limit of lists. Returns the answer if it is clear.
    async fn refuse_early(
        &self,
        new: &NewBulkJob,
        filter: &SearchFilter,
        expect: u64,
    ) -> Result<Option<CreatedJob>> {
        let matched = self.limited(self.count_matches(filter, new.created_at, MOST_MATCHES)).await?;
        if matched == expect {
            return Ok(None);
        }
        // After the count: the job of an earlier request may have changed the licenses.
        let existing = self.find_job_by_key(&mut *self.reader().await?, new.idempotency.as_ref()).await?;
        Ok(Some(existing.unwrap_or(CreatedJob::CountDiffers { matched })))
    }

    /// Removes the reasons of the jobs of a license up to a moment, also from the audit.
    pub(super) async fn erase_job_reasons(
        &self,
        tx: &mut Tx<D>,
        license: &LicenseId,
        until: i64,
    ) -> Result<()> {
        let values = values![license.as_str(), until];
        let rows = self.fetch(tx, &self.sql.bulk_jobs.erase_reasons, values).await?;
        for (id, created_at) in
            rows.all("bulk_jobs", "", |row| Ok((row.job_id()?, row.int("created_at")?)))?
        {
            self.erase_audit_reason(tx, &id, created_at).await?;
        }
        Ok(())
    }

    async fn erase_audit_reason(&self, tx: &mut Tx<D>, id: &BulkJobId, created_at: i64) -> Result<()> {
        let values = values![id.as_str(), created_at];
        self.fetch(tx, &self.sql.bulk_jobs.erase_audit_reason, values).await.map(drop)
    }

    async fn try_cancel_job(
        &self,
        id: &BulkJobId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<BulkJob>> {
        let (mut tx, sql) = (self.begin(Durability::PowerLoss).await?, &self.sql.bulk_jobs);
        self.fetch(&mut tx, &sql.lock, values![id.as_str()]).await?;
        let rows = self.fetch(&mut tx, &sql.get, values![id.as_str()]).await?;
        let Some(job) = rows.first("bulk_jobs", id.as_str(), Reader::job)? else { return Ok(None) };
        let Some((canceled, audit)) = job.canceled(by, now) else { return Ok(Some(job)) };
        self.finish_job(&mut tx, id, canceled.status, now).await?;
        self.insert_audit(&mut tx, &audit).await?;
        self.commit(tx).await?;
        Ok(Some(canceled))
    }

    async fn try_settle_job_step(&self, id: &BulkJobId, outcomes: &str, now: DateTime<Utc>) -> Result<()> {
        let (mut tx, sql) = (self.begin(Durability::Repeatable).await?, &self.sql.bulk_jobs);
        let rows = self.fetch(&mut tx, &sql.lock, values![id.as_str()]).await?;
        let job = rows.first("bulk_jobs", id.as_str(), |row| {
            let created_at = row.time("created_at")?;
            Ok((row.known("status", BulkJobStatus::parse)?, row.job_action()?, created_at))
        })?;
        let Some((status, action, created_at)) = job else { return Ok(()) };
        self.fetch(&mut tx, &sql.settle, values![outcomes, id.as_str()]).await?;
        if status == BulkJobStatus::Running && !self.has_open(&mut tx, id).await? {
            self.insert_older(&mut tx, id, &action).await?;
            if now >= action.completes_from(created_at) && !self.has_open(&mut tx, id).await? {
                self.finish_job(&mut tx, id, BulkJobStatus::Completed, now).await?;
            }
        } else if status != BulkJobStatus::Running {
            self.store_outcomes(&mut tx, id).await?;
        }
        self.commit(tx).await
    }

    async fn has_open(&self, tx: &mut Tx<D>, id: &BulkJobId) -> Result<bool> {
        Ok(!self.fetch(tx, &self.sql.bulk_jobs.any_open, values![id.as_str()]).await?.is_empty())
    }

    /// Stores the numbers of a finished job, so that a list of jobs does not count their licenses.
    async fn store_outcomes(&self, tx: &mut Tx<D>, id: &BulkJobId) -> Result<()> {
        self.fetch(tx, &self.sql.bulk_jobs.store_outcomes, values![id.as_str()]).await.map(drop)
    }

    async fn finish_job(
        &self,
        tx: &mut Tx<D>,
        id: &BulkJobId,
        status: BulkJobStatus,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let values = values![id.as_str(), status.as_str(), now.timestamp_micros()];
        self.fetch(tx, &self.sql.bulk_jobs.finish, values).await?;
        self.store_outcomes(tx, id).await
    }

    async fn try_prune_jobs(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let (mut tx, sql) = (self.begin(Durability::Repeatable).await?, &self.sql.bulk_jobs);
        let rows = self.fetch(&mut tx, &sql.first_finished, values![before.timestamp_micros()]).await?;
        let first = rows.first("bulk_jobs", "", |row| Ok((row.job_id()?, row.int("created_at")?)))?;
        let Some((id, created_at)) = first else { return Ok(0) };
        // Without its licenses, no erasure would find the reason.
        self.fetch(&mut tx, &sql.erase_reason, values![id.as_str()]).await?;
        self.erase_audit_reason(&mut tx, &id, created_at).await?;
        let values = values![id.as_str(), i64::from(limit)];
        let mut deleted = self.fetch(&mut tx, &sql.delete_licenses, values).await?.len();
        if deleted < limit as usize {
            deleted += self.fetch(&mut tx, &sql.delete, values![id.as_str()]).await?.len();
        }
        self.commit(tx).await?;
        Ok(deleted as u64)
    }
}

#[async_trait]
impl<D: Dialect> BulkJobStore for SqlStore<D> {
    async fn create_job(&self, new: &NewBulkJob, licenses: &JobLicenses) -> Result<CreatedJob> {
        if let JobLicenses::Search { filter, expect } = licenses {
            self.catch_up().await;
            if let Some(answer) = self.database.refuse_early(new, filter, *expect).await? {
                return Ok(answer);
            }
        }
        retry(|| self.database.try_create_job(new, licenses)).await
    }

    async fn get_job(&self, id: &BulkJobId) -> Result<Option<BulkJob>> {
        let rows = self.database.list(&self.database.sql.bulk_jobs.get, values![id.as_str()]).await?;
        rows.first("bulk_jobs", id.as_str(), Reader::job)
    }

    async fn cancel_job(&self, id: &BulkJobId, by: &Actor, now: DateTime<Utc>) -> Result<Option<BulkJob>> {
        retry(|| self.database.try_cancel_job(id, by, now)).await
    }

    async fn next_job_step(&self, after: Option<BulkJobId>, limit: u32) -> Result<Option<BulkJobStep>> {
        let after = after.as_ref().map_or("", BulkJobId::as_str);
        let values = values![after, i64::from(limit)];
        let rows = self.database.read(&self.database.sql.bulk_jobs.next_step, values).await?;
        rows.first("bulk_jobs", "", Reader::job_step)
    }

    async fn settle_job_step(
        &self,
        id: &BulkJobId,
        outcomes: &[(LicenseId, LicenseOutcome)],
        now: DateTime<Utc>,
    ) -> Result<()> {
        let rows = json_rows(outcomes.iter().map(|(id, outcome)| json!([id.as_str(), outcome.as_str()])));
        retry(|| self.database.try_settle_job_step(id, &rows, now)).await
    }

    async fn prune_jobs(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        retry(|| self.database.try_prune_jobs(before, limit)).await
    }

    async fn list_jobs(&self, page: &PageRequest<BulkJobId>) -> Result<Page<BulkJob, BulkJobId>> {
        let after = page.after.as_ref().map_or("", BulkJobId::as_str);
        let values = values![i64::from(page.limit), after];
        let rows = self.database.list(&self.database.sql.bulk_jobs.list, values).await?;
        let jobs = rows.all("bulk_jobs", "", Reader::job)?;
        Ok(Page::from_one_more(jobs, page.limit, |job| job.id.clone()))
    }

    async fn list_refused(
        &self,
        id: &BulkJobId,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<RefusedLicense, LicenseId>> {
        let after = page.after.as_ref().map_or("", LicenseId::as_str);
        let values = values![i64::from(page.limit), id.as_str(), after];
        let rows = self.database.list(&self.database.sql.bulk_jobs.list_refused, values).await?;
        let refused = rows.all("bulk_job_licenses", id.as_str(), Reader::refused_license)?;
        Ok(Page::from_one_more(refused, page.limit, |refused| refused.id.clone()))
    }
}

//! Implements `BulkJobStore`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::Actor;
use license_core::bulk::{
    BulkJob, BulkJobId, BulkJobStatus, BulkJobStep, CreatedJob, LicenseOutcome, NewBulkJob,
};
use license_core::license::LicenseId;
use license_core::store::BulkJobStore;

use super::prelude::*;
use super::rows::job_values;
use super::store::SqlStore;

impl<D: Dialect> SqlDatabase<D> {
    async fn try_create_job(&self, new: &NewBulkJob) -> Result<CreatedJob> {
        let (mut tx, sql) = (self.begin(Durability::PowerLoss).await?, &self.sql.bulk_jobs);
        if self.fetch(&mut tx, &sql.insert, &job_values(new)).await?.is_empty() {
            let taken = StoreError::AlreadyExists { what: "the job id" };
            let Some(asked) = &new.idempotency else { return Err(taken) };
            let rows =
                self.fetch(&mut tx, &sql.find_by_key, values![asked.key.as_bytes().as_slice()]).await?;
            let first = rows.first("bulk_jobs", "", |row| Ok((row.job_id()?, row.digest("request")?)))?;
            return match first {
                Some((id, request)) if request == asked.request => Ok(CreatedJob::Existing(id)),
                Some(_) => Ok(CreatedJob::KeyReused),
                None => Err(taken),
            };
        }
        let rows = json_rows(new.licenses.iter().map(|id| json!([id.as_str()])));
        self.fetch(&mut tx, &sql.insert_licenses, values![rows, new.id.as_str()]).await?;
        if let Some(audit) = new.audit() {
            self.insert_audit(&mut tx, &audit).await?;
        }
        self.commit(tx).await?;
        Ok(CreatedJob::New)
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
        let status = rows.first("bulk_jobs", id.as_str(), |row| row.known("status", BulkJobStatus::parse))?;
        let Some(status) = status else { return Ok(()) };
        self.fetch(&mut tx, &sql.settle, values![outcomes, id.as_str()]).await?;
        if status == BulkJobStatus::Running
            && self.fetch(&mut tx, &sql.any_open, values![id.as_str()]).await?.is_empty()
        {
            self.finish_job(&mut tx, id, BulkJobStatus::Completed, now).await?;
        }
        self.commit(tx).await
    }

    async fn finish_job(
        &self,
        tx: &mut Tx<D>,
        id: &BulkJobId,
        status: BulkJobStatus,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let values = values![id.as_str(), status.as_str(), now.timestamp_micros()];
        self.fetch(tx, &self.sql.bulk_jobs.finish, values).await.map(drop)
    }

    async fn try_prune_jobs(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let (mut tx, sql) = (self.begin(Durability::Repeatable).await?, &self.sql.bulk_jobs);
        let rows = self.fetch(&mut tx, &sql.first_finished, values![before.timestamp_micros()]).await?;
        let Some(id) = rows.first("bulk_jobs", "", Reader::job_id)? else { return Ok(0) };
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
    async fn create_job(&self, new: &NewBulkJob) -> Result<CreatedJob> {
        retry(|| self.database.try_create_job(new)).await
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
}

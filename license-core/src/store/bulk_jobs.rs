//! The storage port of bulk jobs.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::search::SearchFilter;
use super::{Page, PageRequest, StoreError};
use crate::access::Actor;
use crate::bulk::{BulkJob, BulkJobId, BulkJobStep, CreatedJob, LicenseOutcome, NewBulkJob, RefusedLicense};
use crate::license::LicenseId;

/// The licenses of a new job. They are fixed in the commit that creates it, and the job keeps only their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one for each job")]
pub enum JobLicenses {
    /// These, each once.
    Ids(Vec<LicenseId>),
    /// Those that match at the time of creation.
    Search {
        /// Which licenses.
        filter: SearchFilter,
        /// The number that the caller expects.
        expect: u64,
    },
}

/// Stores bulk jobs and the outcome for each of their licenses.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait BulkJobStore: fmt::Debug + Send + Sync + 'static {
    /// Stores a job, its licenses and its [audit entry](NewBulkJob::audit), unless a job has the same
    /// idempotency key. If a search finds another number of licenses than it expects, in the commit that
    /// would create the job, nothing is written.
    ///
    /// # Errors
    /// Returns [`StoreError::AlreadyExists`] if the id is taken, and [`StoreError::QueryTooBroad`] if the
    /// search takes too long; nothing is written.
    async fn create_job(&self, new: &NewBulkJob, licenses: &JobLicenses) -> Result<CreatedJob, StoreError>;

    /// Returns the job with this id.
    async fn get_job(&self, id: &BulkJobId) -> Result<Option<BulkJob>, StoreError>;

    /// Cancels a job, as [`BulkJob::canceled`] decides, and writes the audit entry. Returns the job, or
    /// `None` if there is none with this id.
    async fn cancel_job(
        &self,
        id: &BulkJobId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<BulkJob>, StoreError>;

    /// Returns the next licenses of a running job, at most `limit`, by ascending id. The job is the one with
    /// the lowest id above `after`, or else the lowest of all, so that jobs can take turns. Returns `None` if
    /// no job runs.
    async fn next_job_step(
        &self,
        after: Option<BulkJobId>,
        limit: u32,
    ) -> Result<Option<BulkJobStep>, StoreError>;

    /// Stores outcomes. The first outcome of a license is kept. When no license is open, a running job is
    /// completed at `now`. Outcomes for licenses that the job does not have are ignored.
    ///
    /// Before a job of [`ApplyPlan`](crate::bulk::BulkAction::ApplyPlan) is completed, it gets the licenses
    /// of its plan that have an older version by now and are not revoked. If there are any, it goes on. It is
    /// not completed before [`BulkAction::completes_from`](crate::bulk::BulkAction::completes_from).
    async fn settle_job_step(
        &self,
        id: &BulkJobId,
        outcomes: &[(LicenseId, LicenseOutcome)],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Deletes the job that finished first, if that was before `before`, after its licenses: at most `limit`
    /// licenses per call. Returns the number of deleted licenses and jobs. Call repeatedly until it returns
    /// 0.
    async fn prune_jobs(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;

    /// Lists jobs by descending id, so that generated ids are newest first.
    async fn list_jobs(&self, page: &PageRequest<BulkJobId>) -> Result<Page<BulkJob, BulkJobId>, StoreError>;

    /// Lists the licenses of a job that did not get the action, by ascending id. A job that does not exist
    /// has none.
    async fn list_refused(
        &self,
        id: &BulkJobId,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<RefusedLicense, LicenseId>, StoreError>;
}

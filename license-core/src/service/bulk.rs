//! Creates and runs bulk jobs.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::context::ServiceContext;
use super::licenses::LicenseService;
use crate::access::Actor;
use crate::bulk::{
    BulkAction, BulkJob, BulkJobId, BulkJobStep, CreatedJob, LicenseOutcome, NewBulkJob, RefusedLicense,
};
use crate::command::{Command, CommandContext, CommandOutcome, Idempotency, IdempotencyKey};
use crate::error::{Resource, ServiceError};
use crate::license::{LicenseId, Reason};
use crate::limits;
use crate::store::{
    BulkJobStore, JobLicenses, LicenseStore, Page, PageRequest, SearchFilter, SearchStore, StoreError,
};
use crate::validation::Denial;

/// Licenses and jobs deleted in one transaction.
const PRUNE_BATCH: u32 = 1_000;

/// A request for a job.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkRequest {
    /// The action.
    pub action: BulkAction,
    /// The licenses. A license that is listed twice gets the action once.
    pub licenses: JobLicenses,
    /// The reason for the action, for the events and the audit. A suspended or revoked license keeps it.
    pub reason: Option<Reason>,
}

/// A job, as it is after the request that creates it.
#[derive(Clone, Debug, PartialEq)]
pub struct SubmittedJob {
    /// The job.
    pub job: BulkJob,
    /// Whether an earlier request with the same idempotency key created it.
    pub repeated: bool,
}

/// A step of a job that was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RanStep {
    /// The job.
    pub job: BulkJobId,
    /// Number of licenses; 0 if the job waits for its completion.
    pub licenses: usize,
}

/// Creates, cancels and runs bulk jobs.
#[derive(Clone, Debug)]
pub struct BulkService {
    pub(super) jobs: Arc<dyn BulkJobStore>,
    pub(super) licenses: Arc<dyn LicenseStore>,
    pub(super) search: Arc<dyn SearchStore>,
    pub(super) keyed: LicenseService,
    pub(super) context: Arc<ServiceContext>,
}

impl BulkService {
    /// Creates a job, which the engine runs in the background. With an idempotency key, a repeated request of
    /// the same actor returns the first job.
    ///
    /// # Errors
    /// Returns [`ServiceError::JobLicenses`] if no license is listed or more than
    /// [`limits::BULK_JOB_LICENSES`], [`ServiceError::JobWithoutFilter`] if the search has no filter,
    /// [`ServiceError::JobTooLarge`] if it finds more than [`limits::BULK_JOB_LICENSES`] licenses,
    /// [`ServiceError::JobCountDiffers`] if the search finds another number of licenses than expected,
    /// [`ServiceError::IdempotencyKeyRequired`] if a renewal has no key, and [`ServiceError::Denied`] if the
    /// plan is unknown or the key was used for another request.
    pub async fn create(
        &self,
        BulkRequest { action, mut licenses, reason }: BulkRequest,
        by: Option<&Actor>,
        idempotency_key: Option<&IdempotencyKey>,
    ) -> Result<SubmittedJob, ServiceError> {
        check_licenses(&mut licenses)?;
        if action == BulkAction::Renew && idempotency_key.is_none() {
            return Err(ServiceError::IdempotencyKeyRequired);
        }
        self.check_action(&action).await?;
        let now = self.context.now();
        let id = self.context.sources.with_rng(|rng| BulkJobId::generate(now, rng))?;
        let idempotency = idempotency_key.map(|key| {
            let content = content(&action, &licenses, reason.as_ref());
            self.context.idempotency(key, "job.create", "", by, &content)
        });
        let new =
            NewBulkJob { id: id.clone(), action, created_at: now, by: by.cloned(), idempotency, reason };
        match self.jobs.create_job(&new, &licenses).await? {
            CreatedJob::New => Ok(SubmittedJob { job: self.get(&id).await?, repeated: false }),
            CreatedJob::Existing(first) => Ok(SubmittedJob { job: self.get(&first).await?, repeated: true }),
            CreatedJob::KeyReused => Err(ServiceError::Denied(Denial::KeyReused)),
            CreatedJob::CountDiffers { matched } => {
                let expect = if let JobLicenses::Search { expect, .. } = licenses { expect } else { 0 };
                Err(count_differs(expect, matched))
            }
        }
    }

    /// Returns the job with this id.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is none.
    pub async fn get(&self, id: &BulkJobId) -> Result<BulkJob, ServiceError> {
        self.jobs.get_job(id).await?.ok_or(ServiceError::NotFound(Resource::Job))
    }

    /// Lists jobs, newest first.
    pub async fn list(
        &self,
        page: &PageRequest<BulkJobId>,
    ) -> Result<Page<BulkJob, BulkJobId>, ServiceError> {
        Ok(self.jobs.list_jobs(page).await?)
    }

    /// Lists the licenses of a job that did not get the action, with the reason why.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is no such job.
    pub async fn refused(
        &self,
        id: &BulkJobId,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<RefusedLicense, LicenseId>, ServiceError> {
        let refused = self.jobs.list_refused(id, page).await?;
        if refused.items.is_empty() {
            self.get(id).await?;
        }
        Ok(refused)
    }

    /// Cancels a job. Licenses that have got the action keep its effect. A finished job stays as it is.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is no such job.
    pub async fn cancel(&self, id: &BulkJobId, by: &Actor) -> Result<BulkJob, ServiceError> {
        let canceled = self.jobs.cancel_job(id, by, self.context.now()).await?;
        canceled.ok_or(ServiceError::NotFound(Resource::Job))
    }

    /// Runs the action on the next licenses of a job, at most `limit`. Returns the job and the number of
    /// these licenses, or `None` if no job runs. Jobs take turns if `after` is the job of the last call.
    /// Several nodes may call it at once: each license gets the action once.
    ///
    /// # Errors
    /// Returns [`ServiceError::Store`] if the store fails. A later call continues with the same license.
    pub async fn run_step(
        &self,
        after: Option<BulkJobId>,
        limit: u32,
    ) -> Result<Option<RanStep>, ServiceError> {
        let Some(step) = self.jobs.next_job_step(after, limit).await? else { return Ok(None) };
        let BulkJobStep { id, action, by, licenses, reason } = step;
        let (command, by) = (action.command(), by.map(Arc::new));
        let count = licenses.len();
        let (mut outcomes, mut failure) = (Vec::with_capacity(licenses.len()), None);
        for license in licenses {
            let context = CommandContext {
                idempotency: Some(self.once_per_license(&id, &license)),
                job: Some(id.clone()),
                reason: reason.clone(),
                ..self.context.command(self.context.now(), None, by.clone())
            };
            match self.run(&license, &command, &context).await {
                Ok(outcome) => outcomes.push((license, outcome)),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        // A validation that read a license before may still be about to answer "valid".
        self.context.barrier.wait_for_earlier().await;
        // Also if there was no license: the job may be complete.
        if failure.is_none() || !outcomes.is_empty() {
            self.jobs.settle_job_step(&id, &outcomes, self.context.now()).await?;
        }
        failure.map_or(Ok(Some(RanStep { job: id, licenses: count })), |error| Err(error.into()))
    }

    async fn run(
        &self,
        license: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<LicenseOutcome, StoreError> {
        match self.context.execute(&*self.licenses, license, command, context).await {
            Ok(CommandOutcome::Done(_) | CommandOutcome::Repeated(_)) => Ok(LicenseOutcome::Done),
            Ok(CommandOutcome::Denied(denial)) => Ok(LicenseOutcome::Denied(denial.code())),
            Ok(CommandOutcome::NotActivated(denied)) => Ok(LicenseOutcome::Denied(denied.code())),
            Err(StoreError::NotFound { .. }) => Ok(LicenseOutcome::NotFound),
            // One damaged license must not stop the job.
            Err(StoreError::Corrupt { .. }) => Ok(LicenseOutcome::Failed),
            Err(error) => Err(error),
        }
    }

    /// Returns the idempotency key of one license in one job, so that an interrupted step has no effect
    /// twice.
    fn once_per_license(&self, job: &BulkJobId, license: &LicenseId) -> Idempotency {
        let key = self.context.vault.request_digest(&["job", job.as_str(), license.as_str()]);
        Idempotency::new(key, key)
    }

    /// Deletes jobs that finished more than [`limits::BULK_JOB_DAYS`] ago, a batch per call. Call repeatedly
    /// until it returns 0.
    pub async fn prune(&self, now: DateTime<Utc>) -> Result<u64, ServiceError> {
        let before = now - TimeDelta::days(limits::BULK_JOB_DAYS.into());
        Ok(self.jobs.prune_jobs(before, PRUNE_BATCH).await?)
    }
}

/// Drops repeated ids, and checks that a job can have the licenses.
pub(super) fn check_licenses(licenses: &mut JobLicenses) -> Result<(), ServiceError> {
    let most = limits::BULK_JOB_LICENSES;
    match licenses {
        JobLicenses::Ids(ids) => {
            let mut seen = HashSet::new();
            ids.retain(|id| seen.insert(id.clone()));
            if ids.is_empty() || ids.len() > most as usize {
                return Err(ServiceError::JobLicenses { count: ids.len() });
            }
        }
        JobLicenses::Search { filter, .. } if *filter == SearchFilter::default() => {
            return Err(ServiceError::JobWithoutFilter);
        }
        JobLicenses::Search { expect, .. } if *expect > u64::from(most) => {
            return Err(ServiceError::JobTooLarge);
        }
        JobLicenses::Search { .. } => {}
    }
    Ok(())
}

pub(super) fn count_differs(expect: u64, matched: u64) -> ServiceError {
    if matched > u64::from(limits::BULK_JOB_LICENSES) {
        ServiceError::JobTooLarge
    } else {
        ServiceError::JobCountDiffers { expect, matched }
    }
}

/// Returns a text that is equal for equal requests only.
fn content(action: &BulkAction, licenses: &JobLicenses, reason: Option<&Reason>) -> String {
    let licenses = match licenses {
        JobLicenses::Ids(ids) => json!(ids.iter().map(LicenseId::as_str).collect::<Vec<_>>()),
        JobLicenses::Search { filter, expect } => json!({ "search": filter.content(), "expect": expect }),
    };
    json!([action.name(), action.plan(), licenses, reason.map(Reason::as_str)]).to_string()
}

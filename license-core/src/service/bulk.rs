//! Creates and runs bulk jobs.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::context::ServiceContext;
use crate::access::Actor;
use crate::bulk::{BulkAction, BulkJob, BulkJobId, BulkJobStep, CreatedJob, LicenseOutcome, NewBulkJob};
use crate::command::{Command, CommandContext, CommandOutcome, Idempotency, IdempotencyKey};
use crate::error::{Resource, ServiceError};
use crate::license::LicenseId;
use crate::limits;
use crate::store::{BulkJobStore, LicenseStore, StoreError};
use crate::validation::{Denial, plan_for_sale};

/// Licenses and jobs deleted in one transaction.
const PRUNE_BATCH: u32 = 1_000;

/// A job, as it is after the request that creates it.
#[derive(Clone, Debug, PartialEq)]
pub struct SubmittedJob {
    /// The job.
    pub job: BulkJob,
    /// Whether an earlier request with the same idempotency key created it.
    pub repeated: bool,
}

/// Creates, cancels and runs bulk jobs.
#[derive(Clone, Debug)]
pub struct BulkService {
    pub(super) jobs: Arc<dyn BulkJobStore>,
    pub(super) licenses: Arc<dyn LicenseStore>,
    pub(super) context: Arc<ServiceContext>,
}

impl BulkService {
    /// Creates a job, which the engine runs in the background. A license that is listed twice gets the action
    /// once. With an idempotency key, a repeated request of the same actor returns the first job.
    ///
    /// # Errors
    /// Returns [`ServiceError::JobLicenses`] if there is no license or more than
    /// [`limits::BULK_JOB_LICENSES`], [`ServiceError::IdempotencyKeyRequired`] if a renewal has no key, and
    /// [`ServiceError::Denied`] if the plan is unknown or the key was used for another request.
    pub async fn create(
        &self,
        action: BulkAction,
        mut licenses: Vec<LicenseId>,
        by: Option<&Actor>,
        idempotency_key: Option<&IdempotencyKey>,
    ) -> Result<SubmittedJob, ServiceError> {
        let mut seen = HashSet::new();
        licenses.retain(|id| seen.insert(id.clone()));
        if licenses.is_empty() || licenses.len() > limits::BULK_JOB_LICENSES {
            return Err(ServiceError::JobLicenses { count: licenses.len() });
        }
        if action == BulkAction::Renew && idempotency_key.is_none() {
            return Err(ServiceError::IdempotencyKeyRequired);
        }
        if let Some(plan) = action.plan() {
            self.context.catalog.reload().await?;
            plan_for_sale(plan, &self.context.plans()).map_err(ServiceError::Denied)?;
        }
        let now = self.context.now();
        let id = self.context.sources.with_rng(|rng| BulkJobId::generate(now, rng))?;
        let idempotency = idempotency_key.map(|key| {
            let content = content(&action, &licenses);
            self.context.idempotency(key, "job.create", "", by, &content)
        });
        let new =
            NewBulkJob { id: id.clone(), action, licenses, created_at: now, by: by.cloned(), idempotency };
        match self.jobs.create_job(&new).await? {
            CreatedJob::New => Ok(SubmittedJob { job: self.get(&id).await?, repeated: false }),
            CreatedJob::Existing(first) => Ok(SubmittedJob { job: self.get(&first).await?, repeated: true }),
            CreatedJob::KeyReused => Err(ServiceError::Denied(Denial::KeyReused)),
        }
    }

    /// Returns the job with this id.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is none.
    pub async fn get(&self, id: &BulkJobId) -> Result<BulkJob, ServiceError> {
        self.jobs.get_job(id).await?.ok_or(ServiceError::NotFound(Resource::Job))
    }

    /// Cancels a job. Licenses that have got the action keep its effect. A finished job stays as it is.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is no such job.
    pub async fn cancel(&self, id: &BulkJobId, by: &Actor) -> Result<BulkJob, ServiceError> {
        let canceled = self.jobs.cancel_job(id, by, self.context.now()).await?;
        canceled.ok_or(ServiceError::NotFound(Resource::Job))
    }

    /// Runs the action on the next licenses of a job, at most `limit`. Returns the job, or `None` if no job
    /// runs. Jobs take turns if `after` is the job of the last call. Several nodes may call it at once: each
    /// license gets the action once.
    ///
    /// # Errors
    /// Returns [`ServiceError::Store`] if the store fails. A later call continues with the same license.
    pub async fn run_step(
        &self,
        after: Option<BulkJobId>,
        limit: u32,
    ) -> Result<Option<BulkJobId>, ServiceError> {
        let Some(step) = self.jobs.next_job_step(after, limit).await? else { return Ok(None) };
        let BulkJobStep { id, action, by, licenses } = step;
        let (command, by) = (action.command(), by.map(Arc::new));
        let (mut outcomes, mut failure) = (Vec::with_capacity(licenses.len()), None);
        for license in licenses {
            let context = CommandContext {
                idempotency: Some(self.once_per_license(&id, &license)),
                job: Some(id.clone()),
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
        if !outcomes.is_empty() {
            self.jobs.settle_job_step(&id, &outcomes, self.context.now()).await?;
        }
        failure.map_or(Ok(Some(id)), |error| Err(error.into()))
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

    /// Returns the idempotency key of one license in one job, so that an interrupted step has no effect twice.
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

/// Returns a text that is equal for equal requests only.
fn content(action: &BulkAction, licenses: &[LicenseId]) -> String {
    let ids: Vec<_> = licenses.iter().map(LicenseId::as_str).collect();
    serde_json::json!([action.name(), action.plan(), ids]).to_string()
}

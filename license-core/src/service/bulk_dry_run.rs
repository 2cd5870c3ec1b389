//! What a bulk job would do, without doing it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bulk::{BulkService, check_licenses, count_differs};
use super::licenses::KeyedLicense;
use crate::bulk::BulkAction;
use crate::command::{Command, CommandContext, CommandOutcome, View, decide};
use crate::error::ServiceError;
use crate::license::{LeaseUsage, LicenseDetail, Reason};
use crate::limits;
use crate::store::{JobLicenses, PageRequest, SearchFilter, SearchQuery, SearchSort, StoreError};
use crate::validation::{DenialCode, plan_for_sale};

/// Licenses read at once.
const PAGE: u32 = 1_000;
/// Licenses that a dry run shows.
const SAMPLE: usize = 10;

/// What a job would do at the time of the dry run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BulkDryRun {
    /// Number of licenses that the job would have.
    pub matched: u64,
    /// Number of licenses on which the action was decided, at most [`limits::DRY_RUN_LICENSES`], the newest
    /// first. The other numbers are of these.
    pub decided: u64,
    /// Licenses that the action would change.
    pub changed: u64,
    /// Licenses that are as the action would leave them.
    pub unchanged: u64,
    /// Licenses that would deny the action, by code.
    pub denied: BTreeMap<DenialCode, u64>,
    /// Some of the licenses.
    pub sample: Vec<KeyedLicense>,
}

impl BulkService {
    /// Decides the action on the licenses that a job would have. Writes nothing. Ids that no license has do
    /// not count. The number in `licenses` is ignored. With an `expect`, a search must find exactly that
    /// number. Whether a trial was used before is decided only when the job runs.
    ///
    /// # Errors
    /// Returns the errors of [`create`](Self::create), except that of a renewal without a key.
    pub async fn dry_run(
        &self,
        action: &BulkAction,
        mut licenses: JobLicenses,
        expect: Option<u64>,
        reason: Option<&Reason>,
    ) -> Result<BulkDryRun, ServiceError> {
        check_licenses(&mut licenses)?;
        self.check_action(action).await?;
        let context = CommandContext {
            reason: reason.cloned(),
            ..self.context.command(self.context.now(), None, None)
        };
        let mut run = DryRun { command: action.command(), context, result: BulkDryRun::default() };
        match licenses {
            JobLicenses::Ids(mut ids) => {
                ids.sort_unstable();
                for id in &ids {
                    match self.keyed.get(id).await {
                        Ok(license) => {
                            run.result.matched += 1;
                            run.decide(&license.detail);
                            if run.result.sample.len() < SAMPLE {
                                run.result.sample.push(license);
                            }
                        }
                        Err(ServiceError::NotFound(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            JobLicenses::Search { filter, .. } => self.dry_run_search(&mut run, filter, expect).await?,
        }
        Ok(run.result)
    }

    async fn dry_run_search(
        &self,
        run: &mut DryRun,
        filter: SearchFilter,
        expect: Option<u64>,
    ) -> Result<(), ServiceError> {
        let (at, most) = (run.context.now, u64::from(limits::BULK_JOB_LICENSES));
        run.result.matched = self.search.count_matches(&filter, at, most + 1).await?;
        match (expect, run.result.matched) {
            (_, matched) if matched > most => return Err(ServiceError::JobTooLarge),
            (Some(expect), matched) if expect != matched => return Err(count_differs(expect, matched)),
            _ => {}
        }
        let mut after = None;
        while run.result.decided < u64::from(limits::DRY_RUN_LICENSES) {
            let (page, filter) = (PageRequest { after, limit: PAGE }, filter.clone());
            let query = SearchQuery { filter, sort: SearchSort::NewestFirst, at, page, count: false };
            let found = match self.search.search(&query).await {
                Ok(found) => found.page,
                // The licenses that were read are enough for an estimate.
                Err(StoreError::QueryTooBroad { .. }) => break,
                Err(error) => return Err(error.into()),
            };
            for detail in found.items {
                run.decide(&detail);
                if run.result.sample.len() < SAMPLE {
                    run.result.sample.push(self.keyed.with_key(detail)?);
                }
            }
            after = found.next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Checks that a caller can choose the action, with the catalog as it is stored.
    pub(super) async fn check_action(&self, action: &BulkAction) -> Result<(), ServiceError> {
        if let BulkAction::ApplyPlan { .. } = action {
            return Err(ServiceError::JobAction(action.name()));
        }
        if let Some(plan) = action.plan() {
            self.context.catalog.reload().await?;
            plan_for_sale(plan, &self.context.plans()).map_err(ServiceError::Denied)?;
        }
        Ok(())
    }
}

/// A dry run and its result so far.
struct DryRun {
    command: Command,
    context: CommandContext,
    result: BulkDryRun,
}

impl DryRun {
    /// Decides on one license. No action of a job reads activations, and none but a trial reads other rows.
    fn decide(&mut self, detail: &LicenseDetail) {
        let view = View {
            license: Arc::unwrap_or_clone(Arc::clone(&detail.license)),
            activations: Vec::new(),
            eviction_candidates: Vec::new(),
            used_key: None,
            trial_claims: Vec::new(),
            leases: Vec::new(),
            lease_usage: LeaseUsage::default(),
        };
        let decision = decide(view, &self.command, &self.context);
        let result = &mut self.result;
        result.decided += 1;
        match decision.outcome {
            CommandOutcome::Done(_) | CommandOutcome::Repeated(_) if decision.changes.is_some() => {
                result.changed += 1;
            }
            CommandOutcome::Done(_) | CommandOutcome::Repeated(_) => result.unchanged += 1,
            CommandOutcome::Denied(denial) => *result.denied.entry(denial.code()).or_default() += 1,
            CommandOutcome::NotActivated(denied) => *result.denied.entry(denied.code()).or_default() += 1,
        }
    }
}

//! `POST /api/v1/licenses/bulk` and `/api/v1/jobs`: one action on many licenses.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::bulk::{BulkAction, BulkJob, BulkJobId, BulkProgress, LicenseOutcome, RefusedLicense};
use license_core::json::LicenseJson;
use license_core::license::{LicenseId, Reason};
use license_core::limits;
use license_core::service::BulkRequest;
use license_core::store::{JobLicenses, SearchFilter};
use serde::Serialize;
use serde_json::Value;

use super::licenses::license_json;
use super::search;
use crate::auth::Authenticated;
use crate::extract::{Fields, IdempotencyHeader, JobPath, NoInput, NoQuery, Query, value};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, PageJson};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Job))]
pub(crate) struct JobJson<'a> {
    /// Id of the job.
    id: &'a str,
    /// Action on each license.
    action: &'static str,
    /// New plan of `move_plan`, or the plan of `apply_plan`; null for other actions.
    plan: Option<&'a str>,
    /// Status.
    status: &'static str,
    /// Number of licenses.
    total: u64,
    /// Licenses that wait for the action.
    open: u64,
    /// Licenses that are as the action leaves them, also those that were so before.
    done: u64,
    /// Licenses that denied the action, by error code.
    denied: BTreeMap<&'static str, u64>,
    /// Ids that no license has.
    not_found: u64,
    /// Licenses whose rows are damaged. The server's log has the details.
    failed: u64,
    /// When it was created.
    created_at: DateTime<Utc>,
    /// When it was completed or canceled; null before.
    finished_at: Option<DateTime<Utc>>,
    /// Your reason; null if there is none. Erasing the customer of one of the licenses removes it.
    reason: Option<&'a str>,
    /// New version of the plan, for `apply_plan`; null for other actions.
    plan_version: Option<u32>,
}

impl<'a> From<&'a BulkJob> for JobJson<'a> {
    fn from(job: &'a BulkJob) -> Self {
        let BulkJob { id, action, status, created_at, finished_at, by: _, progress, reason } = job;
        let BulkProgress { open, outcomes: _ } = progress;
        Self {
            id: id.as_str(),
            action: action.name(),
            plan: action.plan(),
            status: status.as_str(),
            total: progress.total(),
            open: *open,
            done: progress.count(LicenseOutcome::Done),
            denied: progress.denied().map(|(code, count)| (code.as_str(), count)).collect(),
            not_found: progress.count(LicenseOutcome::NotFound),
            failed: progress.count(LicenseOutcome::Failed),
            created_at: *created_at,
            finished_at: *finished_at,
            reason: reason.as_ref().map(Reason::as_str),
            plan_version: action.plan_version(),
        }
    }
}

/// The licenses that a job would change.
#[derive(Serialize)]
pub(crate) struct DryRunJson<'a> {
    matched: u64,
    sample: Vec<LicenseJson<'a>>,
    decided: u64,
    changed: u64,
    unchanged: u64,
    denied: BTreeMap<&'static str, u64>,
}

pub(super) async fn create(
    State(state): State<HttpState>,
    Authenticated { actor, .. }: Authenticated,
    IdempotencyHeader(key): IdempotencyHeader,
    fields: Fields,
) -> Result<Response, Problem> {
    let mut fields = fields.only(&BULK_FIELDS)?;
    let name = fields.require("action", value::text)?;
    let plan = fields.take("plan", value::name)?;
    let ids = fields.take("ids", read_ids)?;
    let search =
        fields.take("search", |field, value| search::read_nested(field, value, &state.services.search))?;
    let expect =
        fields.take("expect", |field, value| value::whole(field, value, 1..=limits::BULK_JOB_LICENSES))?;
    let reason = fields.take_reason()?;
    let dry_run = fields.take("dry_run", value::boolean)?.unwrap_or_default();
    let action = read_action(&name, plan)?;
    let licenses = read_licenses(ids, search, expect, dry_run)?;
    let bulk = &state.services.bulk;
    if dry_run {
        let found = bulk.dry_run(&action, licenses, expect.map(u64::from), reason.as_ref()).await;
        let found = found.map_err(Problem::from_body_error)?;
        let now = state.services.now();
        let answer = DryRunJson {
            matched: found.matched,
            sample: found.sample.iter().map(|license| license_json(license, now)).collect(),
            decided: found.decided,
            changed: found.changed,
            unchanged: found.unchanged,
            denied: found.denied.iter().map(|(code, count)| (code.as_str(), *count)).collect(),
        };
        return Ok(wire::json(StatusCode::OK, &answer));
    }
    let request = BulkRequest { action, licenses, reason };
    let created = bulk.create(request, Some(&actor), key.as_ref()).await;
    let created = created.map_err(Problem::from_body_error)?;
    let location = format!("../jobs/{}", created.job.id);
    let response = wire::json(StatusCode::ACCEPTED, &JobJson::from(&created.job));
    Ok(wire::replayed(created.repeated, wire::with_location(response, location)))
}

/// Fields of a new job.
pub(crate) const BULK_FIELDS: [&str; 7] = ["action", "plan", "ids", "dry_run", "search", "expect", "reason"];

fn read_action(name: &str, plan: Option<String>) -> Result<BulkAction, Problem> {
    let has_plan = plan.is_some();
    BulkAction::named(name, plan).ok_or_else(|| {
        if !BulkAction::NAMES.contains(&name) {
            let names = BulkAction::NAMES.join(", ");
            Problem::invalid_field("action", format!("This must be one of {names}."))
        } else if has_plan {
            Problem::invalid_field("plan", "Only the action move_plan has a plan.")
        } else {
            Problem::invalid_field("plan", "The action move_plan needs the name of a plan.")
        }
    })
}

fn read_ids(field: &'static str, value: Value) -> Result<Vec<LicenseId>, Problem> {
    let ids = value::list(field, value, (limits::BULK_JOB_IDS, "ids"), |field, text| {
        LicenseId::parse(&text).map_err(|error| value::invalid(field, &error))
    })?;
    if ids.is_empty() {
        return Err(Problem::invalid_field(field, "This list must have at least one id."));
    }
    Ok(ids)
}

fn read_licenses(
    ids: Option<Vec<LicenseId>>,
    search: Option<SearchFilter>,
    expect: Option<u32>,
    dry_run: bool,
) -> Result<JobLicenses, Problem> {
    match (ids, search, expect) {
        (Some(_), Some(_), _) => {
            Err(Problem::invalid_field("search", "Send either ids or search, not both."))
        }
        (None, None, _) => {
            let detail = "This field is missing. A job needs either ids or search.";
            Err(Problem::invalid_field("ids", detail))
        }
        (Some(_), None, Some(_)) => {
            Err(Problem::invalid_field("expect", "Only a job by search has this field."))
        }
        (Some(ids), None, None) => Ok(JobLicenses::Ids(ids)),
        (None, Some(_), None) if !dry_run => {
            let detail =
                "A job by search needs the number of licenses that you expect, which a dry run tells.";
            Err(Problem::invalid_field("expect", detail))
        }
        (None, Some(filter), expect) => {
            Ok(JobLicenses::Search { filter, expect: expect.unwrap_or_default().into() })
        }
    }
}

pub(super) async fn get(
    State(state): State<HttpState>,
    JobPath(id): JobPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let job = state.services.bulk.get(&id).await?;
    Ok(wire::json(StatusCode::OK, &JobJson::from(&job)))
}

/// A license that did not get the action of its job.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RefusedLicense))]
pub(crate) struct RefusedJson<'a> {
    /// Id of the license.
    license_id: &'a str,
    /// The error code of the denial, `not_found`, or `failed` if its row is damaged.
    reason: &'static str,
}

impl<'a> From<&'a RefusedLicense> for RefusedJson<'a> {
    fn from(RefusedLicense { id, outcome }: &'a RefusedLicense) -> Self {
        Self { license_id: id.as_str(), reason: outcome.as_str() }
    }
}

pub(super) async fn list(State(state): State<HttpState>, mut query: Query) -> Result<Response, Problem> {
    let page = query.page(|text| BulkJobId::parse(text).ok())?;
    query.finish()?;
    let found = state.services.bulk.list(&page).await?;
    Ok(wire::json(StatusCode::OK, &PageJson::new(&found, JobJson::from)))
}

pub(super) async fn list_refused(
    State(state): State<HttpState>,
    JobPath(id): JobPath,
    mut query: Query,
) -> Result<Response, Problem> {
    let page = query.page(|text| LicenseId::parse(text).ok())?;
    query.finish()?;
    let found = state.services.bulk.refused(&id, &page).await?;
    Ok(wire::json(StatusCode::OK, &PageJson::new(&found, RefusedJson::from)))
}

pub(super) async fn cancel(
    State(state): State<HttpState>,
    JobPath(id): JobPath,
    Authenticated { actor, .. }: Authenticated,
    _: NoInput,
) -> Result<Response, Problem> {
    let job = state.services.bulk.cancel(&id, &actor).await?;
    Ok(wire::json(StatusCode::OK, &JobJson::from(&job)))
}

//! `/api/v1/plans`: plans and their versions.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::access::Scope;
use license_core::catalog::{Plan, PlanEntry, PlanVersion};
use license_core::service::Cataloged;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::auth::Authenticated;
use crate::extract::{Fields, IdempotencyHeader, IfMatch, NamePath, NoInput, NoQuery, value};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, PageJson};

/// A plan with the terms of its current version.
#[derive(Serialize)]
struct PlanJson<'a> {
    name: &'a str,
    version: u32,
    #[serde(flatten)]
    terms: Map<String, Value>,
    archived_at: Option<DateTime<Utc>>,
    managed_by: Option<&'a str>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// The job that moves sold licenses to this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
}

impl<'a> From<&'a PlanEntry> for PlanJson<'a> {
    fn from(entry: &'a PlanEntry) -> Self {
        let PlanVersion { plan, version, created_at: _ } = entry.current();
        Self {
            name: &entry.name,
            version: *version,
            terms: plan.to_json(),
            archived_at: entry.archived_at,
            managed_by: entry.managed_by.as_deref(),
            created_at: entry.created_at,
            updated_at: entry.updated_at,
            job: None,
        }
    }
}

#[derive(Serialize)]
struct PlanVersionJson<'a> {
    name: &'a str,
    version: u32,
    #[serde(flatten)]
    terms: Map<String, Value>,
    created_at: DateTime<Utc>,
}

impl<'a> From<&'a PlanVersion> for PlanVersionJson<'a> {
    fn from(PlanVersion { plan, version, created_at }: &'a PlanVersion) -> Self {
        Self { name: &plan.name, version: *version, terms: plan.to_json(), created_at: *created_at }
    }
}

fn plan_response(status: StatusCode, entry: &PlanEntry) -> Response {
    tagged_response(status, entry, None)
}

fn tagged_response(status: StatusCode, entry: &PlanEntry, job: Option<&str>) -> Response {
    let tag = format!("\"{}\"", entry.revision);
    let plan = PlanJson { job, ..PlanJson::from(entry) };
    ([(ETAG, tag)], wire::json(status, &plan)).into_response()
}

/// Returns the fields of a plan.
fn terms(fields: Fields) -> Map<String, Value> {
    let mut terms = fields.into_map();
    terms.values_mut().for_each(value::without_fractions);
    terms
}

pub(super) async fn create(
    State(state): State<HttpState>,
    Authenticated { actor, .. }: Authenticated,
    IdempotencyHeader(key): IdempotencyHeader,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let name = fields.require("name", value::text)?;
    let plan = Plan::from_json(&name, terms(fields)).map_err(|error| Problem::of_plan(&error))?;
    let catalog = state.services.catalog.by(&actor).repeatable(key.is_some());
    let created = catalog.create_plan(&plan).await.map_err(Problem::from_body_error)?;
    let Cataloged { item, repeated } = created;
    let response = plan_response(StatusCode::CREATED, &item);
    Ok(wire::replayed(repeated, wire::with_location(response, format!("plans/{name}"))))
}

/// Lists all plans on one page, since there are few.
pub(super) async fn list(State(state): State<HttpState>, _: NoQuery) -> Result<Response, Problem> {
    let catalog = state.services.catalog.reload().await?;
    let data = catalog.entries().map(PlanJson::from).collect();
    Ok(wire::json(StatusCode::OK, &PageJson { data, next_cursor: None }))
}

pub(super) async fn get(
    State(state): State<HttpState>,
    NamePath(name): NamePath,
    _: NoQuery,
) -> Result<Response, Problem> {
    Ok(plan_response(StatusCode::OK, &*state.services.catalog.plan(&name).await?))
}

/// Lists all versions on one page, newest first.
pub(super) async fn versions(
    State(state): State<HttpState>,
    NamePath(name): NamePath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let plan = state.services.catalog.plan(&name).await?;
    let data = plan.versions.iter().rev().map(PlanVersionJson::from).collect();
    Ok(wire::json(StatusCode::OK, &PageJson { data, next_cursor: None }))
}

pub(super) async fn change(
    State(state): State<HttpState>,
    NamePath(name): NamePath,
    caller: Authenticated,
    IfMatch(revision): IfMatch,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let for_all = fields.take("apply_to", read_apply_to)?.unwrap_or_default();
    let (catalog, patch) = (state.services.catalog.by(&caller.actor), terms(fields).into());
    if for_all {
        caller.require(&[Scope::LicensesWrite])?;
        let changed = catalog.change_plan_for_all(&name, patch, revision).await;
        let (plan, job) = changed.map_err(Problem::from_body_error)?;
        return Ok(tagged_response(StatusCode::OK, &plan, Some(job.as_str())));
    }
    let changed = catalog.change_plan(&name, patch, revision).await;
    Ok(plan_response(StatusCode::OK, &*changed.map_err(Problem::from_body_error)?))
}

/// Values of `apply_to`.
pub(crate) const APPLY_TO: [&str; 2] = ["new", "all"];

/// Returns whether a change of a plan moves the sold licenses too.
fn read_apply_to(field: &'static str, value: Value) -> Result<bool, Problem> {
    match value::text(field, value)?.as_str() {
        "new" => Ok(false),
        "all" => Ok(true),
        _ => Err(Problem::invalid_field(field, "This must be new or all.")),
    }
}

pub(super) async fn archive(
    State(state): State<HttpState>,
    NamePath(name): NamePath,
    Authenticated { actor, .. }: Authenticated,
    IfMatch(revision): IfMatch,
    _: NoInput,
) -> Result<Response, Problem> {
    let archived = state.services.catalog.by(&actor).archive_plan(&name, revision).await?;
    Ok(plan_response(StatusCode::OK, &archived))
}

pub(super) async fn unarchive(
    State(state): State<HttpState>,
    NamePath(name): NamePath,
    Authenticated { actor, .. }: Authenticated,
    IfMatch(revision): IfMatch,
    _: NoInput,
) -> Result<Response, Problem> {
    let unarchived = state.services.catalog.by(&actor).unarchive_plan(&name, revision).await?;
    Ok(plan_response(StatusCode::OK, &unarchived))
}

//! One plan with its versions, and whether it is sold.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::catalog::{Plan, PlanEntry};

use super::confirm::{self, Confirm};
use super::plan_field::{self, PlanField};
use super::{notice, see_other};
use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::filters::Filters;
use crate::form::{Form, Query};
use crate::moment::Moment;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

/// The word that confirms an archive.
const CONFIRMATION: &str = "archive";

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    page: Page,
    name: String,
    product: String,
    /// The source that alone can change the plan.
    managed_by: String,
    archived: Option<Moment>,
    /// The terms of the current version.
    fields: Vec<PlanField>,
    versions: Vec<VersionRow>,
    /// The list of its licenses.
    licenses: String,
}

/// A version of a plan as a row.
struct VersionRow {
    number: u32,
    since: Moment,
    /// What differs from the version before, such as `max_devices: 3 → 5`.
    changes: Vec<String>,
}

/// Finds the plan with the name in a URL.
pub(super) async fn find(console: &Shared, name: &str) -> Result<Arc<PlanEntry>, Failure> {
    Ok(console.services.catalog.plan(name).await?)
}

pub(crate) async fn show(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(name): Path<String>,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let entry = find(&console, &name).await?;
    let done = query.text("done").and_then(notice::of_plan);
    let filters = Filters { plan: Some(entry.name.clone()), ..Filters::default() };
    render(&PlanPage {
        page: Page::new(&visit, format!("Plan {}", entry.name), Section::Plans).with_notice(done),
        name: entry.name.clone(),
        product: entry.product.clone(),
        managed_by: entry.managed_by.clone().unwrap_or_default(),
        archived: entry.archived_at.map(|at| Moment::new(at, visit.now)),
        fields: plan_field::of(&entry.current().plan),
        versions: versions(&entry, visit.now),
        licenses: visit.url(&format!("/licenses?{}", filters.query())),
    })
}

/// Returns the versions, the newest first.
fn versions(entry: &PlanEntry, now: DateTime<Utc>) -> Vec<VersionRow> {
    let before = std::iter::once(None).chain(entry.versions.iter().map(Some));
    let changes = |before: &Plan, after: &Plan| {
        plan_field::differences(before, after).iter().map(ToString::to_string).collect()
    };
    let rows = entry.versions.iter().zip(before).map(|(version, before)| VersionRow {
        number: version.version,
        since: Moment::new(version.created_at, now),
        changes: before.map(|before| changes(&before.plan, &version.plan)).unwrap_or_default(),
    });
    let mut rows: Vec<_> = rows.collect();
    rows.reverse();
    rows
}

pub(crate) async fn ask_to_archive(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(name): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let entry = find(&console, &name).await?;
    let back = visit.url(&format!("/plans/{}", entry.name));
    Confirm {
        page: Page::new(&visit, "Archive the plan", Section::Plans),
        name: &entry.name,
        effect: "No license can be issued with it or moved to it. Sold licenses go on.",
        word: CONFIRMATION,
        action: format!("{back}/archive"),
        back,
    }
    .render()
}

pub(crate) async fn archive(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    confirm::check(&form, CONFIRMATION)?;
    let entry = console.services.catalog.by(&visitor.actor).archive_plan(&name, None).await?;
    Ok(see_other(visit.url(&format!("/plans/{}?done=archive", entry.name))))
}

pub(crate) async fn unarchive(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let entry = console.services.catalog.by(&visitor.actor).unarchive_plan(&name, None).await?;
    Ok(see_other(visit.url(&format!("/plans/{}?done=unarchive", entry.name))))
}

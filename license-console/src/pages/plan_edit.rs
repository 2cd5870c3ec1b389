//! Changes a plan: a form, then what it changes and for how many licenses, then the change.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use license_core::catalog::PlanEntry;

use super::plan::find;
use super::plan_field::{self, Difference, PlanField};
use super::{license_count, see_other};
use crate::console::Console;
use crate::failure::Failure;
use crate::filters::Filters;
use crate::form::Form;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

#[derive(Template)]
#[template(path = "plan_edit.html")]
struct PlanEditPage {
    page: Page,
    name: String,
    fields: Vec<PlanField>,
    revision: u64,
}

#[derive(Template)]
#[template(path = "plan_preview.html")]
struct PreviewPage {
    page: Page,
    name: String,
    differences: Vec<Difference>,
    /// Number of licenses of the plan.
    licenses: String,
    /// The fields of the form, to send them again.
    fields: Vec<(String, String)>,
}

pub(crate) async fn ask(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(name): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let entry = find(&console, &name).await?;
    render(&PlanEditPage {
        page: Page::new(&visit, format!("Change the plan {}", entry.name), Section::Plans),
        name: entry.name.clone(),
        fields: plan_field::of(&entry.current().plan),
        revision: entry.revision,
    })
}

/// Shows what a form would change. Changes nothing.
pub(crate) async fn preview(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(name): Path<String>,
    form: Form,
) -> Result<impl IntoResponse, Failure> {
    let entry = find(&console, &name).await?;
    let plan = &entry.current().plan;
    let changed = plan.patched(&plan_field::patch(&form, plan)).map_err(|why| Failure::field("Plan", why))?;
    let filters = Filters { plan: Some(entry.name.clone()), ..Filters::default() };
    let names = plan_field::of(plan).into_iter().map(|field| field.name);
    let sent = names.chain(["revision".to_owned()]).map(|name| {
        let value = form.text(&name).unwrap_or_default().to_owned();
        (name, value)
    });
    render(&PreviewPage {
        page: Page::new(&visit, format!("Change the plan {}", entry.name), Section::Plans),
        name: entry.name.clone(),
        differences: plan_field::differences(plan, &changed),
        licenses: license_count::of(&console, &filters).await?,
        fields: sent.collect(),
    })
}

/// Changes the plan for new licenses, or for all.
pub(crate) async fn change(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let entry = find(&console, &name).await?;
    let revision = Some(revision(&form)?);
    let patch = plan_field::patch(&form, &entry.current().plan);
    let catalog = console.services.catalog.by(&visitor.actor);
    let (done, changed): (_, std::sync::Arc<PlanEntry>) = match form.text("licenses") {
        Some("new") => ("edit", catalog.change_plan(&name, patch, revision).await?),
        Some("all") => ("edit-all", catalog.change_plan_for_all(&name, patch, revision).await?.0),
        _ => return Err(Failure::field("Licenses", "choose new ones only, or all")),
    };
    Ok(see_other(visit.url(&format!("/plans/{}?done={done}", changed.name))))
}

fn revision(form: &Form) -> Result<u64, Failure> {
    let revision = form.parsed("revision", "Form", str::parse::<u64>)?;
    revision.ok_or_else(|| Failure::field("Form", "its hidden field is missing"))
}

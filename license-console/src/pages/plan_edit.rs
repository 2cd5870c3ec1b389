//! Changes a plan: a form, then what it changes and for how many licenses, then the change.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use license_core::access::Scope;
use license_core::catalog::{Plan, PlanEntry, PlanPatch};

use super::plan::find;
use super::plan_field::{self, Difference};
use super::plan_form::{self, FieldError, PlanControls};
use super::{license_count, see_other};
use crate::console::Console;
use crate::failure::Failure;
use crate::filters::Filters;
use crate::form::Form;
use crate::page::{Page, Section, render};
use crate::visit::{SignedIn, Visit};

#[derive(Template)]
#[template(path = "plan_edit.html")]
struct PlanEditPage {
    page: Page,
    name: String,
    /// What is wrong with the form, beside what its fields tell.
    error: Option<String>,
    controls: PlanControls,
    revision: String,
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
    let form = plan_form::texts(&entry.current().plan).with("revision", &entry.revision.to_string());
    page(&visit, &entry, &form, None)
}

/// Shows what a form would change, or the form again. Changes nothing.
pub(crate) async fn preview(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let entry = find(&console, &name).await?;
    let changed = match changed(&form, &entry.current().plan) {
        Ok(changed) => changed,
        Err(error) => {
            let html = page(&visit, &entry, &form, Some(&error))?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, html).into_response());
        }
    };
    if form.is_checked("again") {
        return Ok(page(&visit, &entry, &form, None)?.into_response());
    }
    let filters = Filters { plan: Some(entry.name.clone()), ..Filters::default() };
    let revision = ("revision".to_owned(), form.text("revision").unwrap_or_default().to_owned());
    let html = render(&PreviewPage {
        page: Page::new(&visit, format!("Change the plan {}", entry.name), Section::Plans),
        name: entry.name.clone(),
        differences: plan_field::differences(&entry.current().plan, &changed.1),
        licenses: license_count::of(&console, &filters).await?,
        fields: PlanControls::sent(&form).into_iter().chain([revision]).collect(),
    })?;
    Ok(html.into_response())
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
    let (patch, _) = changed(&form, &entry.current().plan)
        .map_err(|error| Failure::field(&plan_field::label(&error.field), error.reason))?;
    let catalog = console.services.catalog.by(&visitor.actor);
    let target = match form.text("licenses") {
        Some("new") => {
            let changed = catalog.change_plan(&name, patch, revision).await?;
            format!("/plans/{}?done=edit", changed.name)
        }
        // The API needs both scopes too.
        Some("all") if !visitor.may(Scope::LicensesWrite) => {
            return Err(Failure::lacks(Scope::LicensesWrite));
        }
        Some("all") => {
            let (changed, job) = catalog.change_plan_for_all(&name, patch, revision).await?;
            if visitor.may(Scope::LicensesRead) {
                format!("/jobs/{job}")
            } else {
                format!("/plans/{}?done=edit-all", changed.name)
            }
        }
        _ => return Err(Failure::field("Licenses", "choose new ones only, or all")),
    };
    Ok(see_other(visit.url(&target)))
}

/// Returns what a form changes, and the plan after it.
fn changed(form: &Form, plan: &Plan) -> Result<(PlanPatch, Plan), FieldError> {
    let patch = plan_form::patch(form, plan)?;
    let after = plan.patched(&patch);
    let after =
        after.map_err(|error| FieldError { field: error.field().to_owned(), reason: error.to_string() })?;
    Ok((patch, after))
}

fn page(
    visit: &Visit,
    entry: &PlanEntry,
    form: &Form,
    error: Option<&FieldError>,
) -> Result<impl IntoResponse + use<>, Failure> {
    render(&PlanEditPage {
        page: Page::new(visit, format!("Change the plan {}", entry.name), Section::Plans),
        name: entry.name.clone(),
        error: error.filter(|error| !PlanControls::has_field(&error.field)).map(|error| error.reason.clone()),
        controls: PlanControls::new(form, error),
        revision: form.text("revision").unwrap_or_default().to_owned(),
    })
}

fn revision(form: &Form) -> Result<u64, Failure> {
    let revision = form.parsed("revision", "Form", str::parse::<u64>)?;
    revision.ok_or_else(Failure::hidden_field)
}

//! Creates a plan.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use license_core::catalog::{DEFAULT_PRODUCT, Plan};
use license_core::error::ServiceError;
use serde_json::Value;

use super::choice::Choice;
use super::plan_form::{self, FieldError, PlanControls};
use super::see_other;
use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::form::{Form, Query};
use crate::page::{Page, Section, render};
use crate::visit::{SignedIn, Visit};

#[derive(Template)]
#[template(path = "plan_new.html")]
struct NewPlanPage {
    page: Page,
    name: String,
    products: Vec<Choice>,
    /// What is wrong with the name, the product or all.
    error: Option<String>,
    controls: PlanControls,
}

pub(crate) async fn ask(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let product = query.text("product").unwrap_or(DEFAULT_PRODUCT);
    page(&console, &visit, &plan_form::texts(&Plan::new("")).with("product", product), None).await
}

/// Creates the plan, or shows the form again with what is wrong.
pub(crate) async fn create(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    form: Form,
) -> Result<Response, Failure> {
    let plan = match plan(&form) {
        Ok(plan) => plan,
        Err(error) => {
            let html = page(&console, &visit, &form, Some(&error)).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, html).into_response());
        }
    };
    match console.services.catalog.by(&visitor.actor).create_plan(&plan).await {
        Ok(created) => Ok(see_other(visit.url(&format!("/plans/{}?done=create", created.item.name)))),
        Err(ServiceError::Catalog(denial)) => {
            let error = FieldError { field: "name".to_owned(), reason: denial.to_string() };
            let html = page(&console, &visit, &form, Some(&error)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

fn plan(form: &Form) -> Result<Plan, FieldError> {
    let mut fields = plan_form::json(form)?;
    let product = form.text("product").unwrap_or_default();
    fields.insert("product".to_owned(), Value::String(product.to_owned()));
    Plan::from_json(form.text("name").unwrap_or_default(), fields)
        .map_err(|error| FieldError { field: error.field().to_owned(), reason: error.to_string() })
}

async fn page(
    console: &Shared,
    visit: &Visit,
    form: &Form,
    error: Option<&FieldError>,
) -> Result<impl IntoResponse + use<>, Failure> {
    let catalog = console.services.catalog.reload().await?;
    let product = form.text("product").unwrap_or_default();
    render(&NewPlanPage {
        page: Page::new(visit, "Create a plan", Section::Plans),
        name: form.text("name").unwrap_or_default().to_owned(),
        products: catalog.products().map(|one| Choice::new(&one.name, product)).collect(),
        error: error.filter(|error| !PlanControls::has_field(&error.field)).map(|error| error.reason.clone()),
        controls: PlanControls::new(form, error),
    })
}

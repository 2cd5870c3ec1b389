//! Creates, renames and deletes products.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use license_core::catalog_command::CatalogDenial;
use license_core::error::ServiceError;

use super::confirm::{self, Confirm};
use super::see_other;
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Form;
use crate::page::{Page, Section, render};
use crate::visit::{SignedIn, Visit};

/// The word that confirms a deletion.
const CONFIRMATION: &str = "delete";

#[derive(Template)]
#[template(path = "product.html")]
struct ProductPage {
    page: Page,
    /// The product that the form changes; `None` creates one.
    product: Option<String>,
    name: String,
    display_name: String,
    error: Option<String>,
}

pub(crate) async fn ask_for_new(SignedIn(visit, _): SignedIn) -> Result<impl IntoResponse, Failure> {
    page(&visit, None, &Form::default(), None)
}

pub(crate) async fn create(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    form: Form,
) -> Result<Response, Failure> {
    let catalog = console.services.catalog.by(&visitor.actor);
    let name = form.text("name").unwrap_or_default();
    let created = catalog.create_product(name, form.text("display_name").unwrap_or_default()).await;
    answer(&visit, None, &form, created.map(drop), "create-product")
}

pub(crate) async fn ask(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(name): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let product = console.services.catalog.product(&name).await?;
    let form = Form::default().with("display_name", &product.display_name);
    page(&visit, Some(&product.name), &form, None)
}

pub(crate) async fn change(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let catalog = console.services.catalog.by(&visitor.actor);
    let changed = catalog.change_product(&name, form.text("display_name").unwrap_or_default()).await;
    answer(&visit, Some(&name), &form, changed.map(drop), "edit-product")
}

pub(crate) async fn ask_to_delete(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(name): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let product = console.services.catalog.product(&name).await?;
    Confirm {
        page: Page::new(&visit, "Delete the product", Section::Plans),
        name: &product.display_name,
        effect: "Only a product without plans can be deleted.",
        word: CONFIRMATION,
        action: visit.url(&format!("/products/{}/delete", product.name)),
        back: visit.url("/plans"),
    }
    .render()
}

pub(crate) async fn delete(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    confirm::check(&form, CONFIRMATION)?;
    console.services.catalog.by(&visitor.actor).delete_product(&name).await?;
    Ok(see_other(visit.url("/plans?done=delete-product")))
}

/// Leads to the list, or shows the form again with what is wrong.
fn answer(
    visit: &Visit,
    product: Option<&str>,
    form: &Form,
    result: Result<(), ServiceError>,
    done: &str,
) -> Result<Response, Failure> {
    match result {
        Ok(()) => Ok(see_other(visit.url(&format!("/plans?done={done}")))),
        Err(ServiceError::Catalog(denial)) if !matches!(denial, CatalogDenial::NotFound { .. }) => {
            let html = page(visit, product, form, Some(denial.to_string()))?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

fn page(
    visit: &Visit,
    product: Option<&str>,
    form: &Form,
    error: Option<String>,
) -> Result<impl IntoResponse + use<>, Failure> {
    let title = if product.is_some() { "Change the product" } else { "Create a product" };
    render(&ProductPage {
        page: Page::new(visit, title, Section::Plans),
        product: product.map(str::to_owned),
        name: form.text("name").unwrap_or_default().to_owned(),
        display_name: form.text("display_name").unwrap_or_default().to_owned(),
        error,
    })
}

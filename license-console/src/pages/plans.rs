//! Products and plans: the list, and the download of all as a file.

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use license_core::catalog::{PlanEntry, Product};

use super::issue::gives;
use super::notice;
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Query;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

#[derive(Template)]
#[template(path = "plans.html")]
struct PlansPage {
    page: Page,
    products: Vec<ProductRow>,
}

/// A product with its plans.
struct ProductRow {
    name: String,
    display_name: String,
    plans: Vec<PlanRow>,
}

struct PlanRow {
    name: String,
    gives: String,
    version: u32,
    managed_by: String,
    is_archived: bool,
}

pub(crate) async fn list(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let catalog = console.services.catalog.reload().await?;
    let of = |product: &Product| ProductRow {
        name: product.name.clone(),
        display_name: product.display_name.clone(),
        plans: catalog.entries().filter(|entry| entry.product == product.name).map(PlanRow::new).collect(),
    };
    let done = query.text("done").and_then(notice::of_plan);
    render(&PlansPage {
        page: Page::new(&visit, "Products and plans", Section::Plans).with_notice(done),
        products: catalog.products().map(of).collect(),
    })
}

/// Returns the file that `--plans` and `license-server catalog apply` read.
pub(crate) async fn download(State(console): State<Console>) -> Result<Response, Failure> {
    let catalog = console.services.catalog.reload().await?;
    let text = catalog.to_toml().map_err(|error| {
        tracing::error!(%error, "the plans cannot be written as TOML");
        Failure::internal()
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/toml; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"plans.toml\""),
    ];
    Ok((headers, text).into_response())
}

impl PlanRow {
    fn new(entry: &PlanEntry) -> Self {
        Self {
            name: entry.name.clone(),
            gives: gives(&entry.current().plan),
            version: entry.current().version,
            managed_by: entry.managed_by.clone().unwrap_or_default(),
            is_archived: !entry.is_available(),
        }
    }
}

//! The customer of a license: all its licenses, the export of its data, and its erasure.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use license_core::access::Scope;
use license_core::error::{Resource, ServiceError};
use license_core::license::{CustomerEmail, LicenseId};
use license_core::limits;
use license_core::store::{LicenseFilter, PageRequest};

use super::confirm::{self, Confirm};
use super::license::find;
use super::license_row::LicenseRow;
use super::see_other;
use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::form::{Form, Query};
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

/// The word that confirms an erasure.
const CONFIRMATION: &str = "erase";

#[derive(Template)]
#[template(path = "customer.html")]
struct CustomerPage {
    page: Page,
    id: String,
    email: String,
    name: String,
    is_erased: bool,
    rows: Vec<LicenseRow>,
    next_page: Option<String>,
    is_first: bool,
    may_export: bool,
}

pub(crate) async fn show(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let (id, email) = customer_of(&console, &id).await?;
    let after = query.parsed("after", "Page", LicenseId::parse)?;
    let customer = console.services.customers.get(&email).await?;
    let filter = LicenseFilter { customer_email: Some(email.clone()), ..LicenseFilter::default() };
    let page = PageRequest { after: after.clone(), limit: limits::PAGE_ITEMS };
    let found = console.services.licenses.list(&filter, &page).await?;
    render(&CustomerPage {
        page: Page::new(&visit, email.as_str(), Section::Customers),
        id: id.clone(),
        email: email.as_str().to_owned(),
        name: customer.name.map(|name| name.as_str().to_owned()).unwrap_or_default(),
        is_erased: email.is_pseudonym(),
        rows: found.items.iter().map(|license| LicenseRow::new(&license.detail, visit.now)).collect(),
        next_page: found.next.map(|next| visit.url(&format!("/licenses/{id}/customer?after={next}"))),
        is_first: after.is_none(),
        may_export: console.options.customer_export.is_some() && visitor.may(Scope::UsageRead),
    })
}

/// Sends all data of the customer as a file.
pub(crate) async fn export(
    State(console): State<Console>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let export = console.options.customer_export.as_ref().ok_or_else(Failure::page_not_found)?;
    let (_, email) = customer_of(&console, &id).await?;
    let mut response = export(email).await;
    if response.status().is_success() {
        let name = HeaderValue::from_static("attachment; filename=\"customer.json\"");
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
        return Ok(response);
    }
    let status = response.status();
    tracing::error!(%status, "the data of a customer was not exported");
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return Err(Failure::no_database());
    }
    let advice = "Try again. The log of the server has the cause.";
    Err(Failure::new(status, "The data of the customer was not exported", advice))
}

pub(crate) async fn ask_to_erase(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let (id, email) = customer_of(&console, &id).await?;
    let back = visit.url(&format!("/licenses/{id}/customer"));
    Confirm {
        page: Page::new(&visit, "Erase the customer", Section::Customers),
        name: email.as_str(),
        effect: "A pseudonym replaces the address in licenses, events and the audit. The name, the metadata of the \
                 licenses and the labels of their slots are removed. The licenses go on. This cannot be undone.",
        word: CONFIRMATION,
        action: format!("{back}/erase"),
        back,
    }
    .render()
}

pub(crate) async fn erase(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    confirm::check(&form, CONFIRMATION)?;
    let (id, email) = customer_of(&console, &id).await?;
    console.services.customers.erase(&email, &visitor.actor).await?;
    Ok(see_other(visit.url(&format!("/licenses/{id}?done=erase"))))
}

/// Returns the id of the license and its customer.
async fn customer_of(console: &Shared, id: &str) -> Result<(String, CustomerEmail), Failure> {
    let license = find(console, id).await?.detail.license;
    let email = license.customer_email.clone().ok_or(ServiceError::NotFound(Resource::Customer))?;
    Ok((license.id.to_string(), email))
}

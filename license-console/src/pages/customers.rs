//! Customers. Their addresses are in forms, and never in a URL.

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::error::{Resource, ServiceError};
use license_core::license::{CustomerEmail, EmailPrefix, Status};
use license_core::store::{CustomerSummary, LicenseFilter, PageRequest};

use super::see_other;
use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::form::Form;
use crate::moment::Moment;
use crate::numbers::grouped;
use crate::page::{Page, Section, render};
use crate::visit::{SignedIn, Visit};

const CUSTOMERS: u32 = 50;

#[derive(Template)]
#[template(path = "customers.html")]
struct CustomersPage {
    page: Page,
    prefix: String,
    rows: Vec<CustomerRow>,
    /// The last address of the page, if there are more.
    after: Option<String>,
}

/// A customer as a row.
struct CustomerRow {
    email: String,
    name: String,
    active: String,
    all: String,
    last_validated: Option<Moment>,
}

pub(crate) async fn list(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
) -> Result<impl IntoResponse, Failure> {
    show(&console, &visit, &Form::default()).await
}

/// Shows the customers whose address begins with a text, or the next page.
pub(crate) async fn search(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    form: Form,
) -> Result<impl IntoResponse, Failure> {
    show(&console, &visit, &form).await
}

/// Leads to the page of a customer, which its newest license names.
pub(crate) async fn open(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    form: Form,
) -> Result<Response, Failure> {
    let email = form.parsed("email", "E-mail", CustomerEmail::parse)?;
    let email = email.ok_or_else(|| Failure::field("E-mail", "type the address"))?;
    let filter = LicenseFilter { customer_email: Some(email), ..LicenseFilter::default() };
    let newest = console.services.licenses.list(&filter, &PageRequest { after: None, limit: 1 }).await?;
    let newest = newest.items.first().ok_or(ServiceError::NotFound(Resource::Customer))?;
    Ok(see_other(visit.url(&format!("/licenses/{}/customer", newest.detail.license.id))))
}

async fn show(console: &Shared, visit: &Visit, form: &Form) -> Result<Html<String>, Failure> {
    let prefix = form.parsed("prefix", "Beginning of the e-mail", EmailPrefix::parse)?;
    let after = form.parsed("after", "Page", CustomerEmail::parse)?;
    let found = console.services.customers.list(prefix, &PageRequest { after, limit: CUSTOMERS }).await?;
    render(&CustomersPage {
        page: Page::new(visit, "Customers", Section::Customers),
        prefix: form.text("prefix").unwrap_or_default().to_owned(),
        rows: found.items.iter().map(|customer| CustomerRow::new(customer, visit.now)).collect(),
        after: found.next.map(|email| email.as_str().to_owned()),
    })
}

impl CustomerRow {
    fn new(customer: &CustomerSummary, now: DateTime<Utc>) -> Self {
        Self {
            email: customer.email.as_str().to_owned(),
            name: customer.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
            active: grouped(customer.licenses.get(&Status::Active).copied().unwrap_or_default()),
            all: grouped(customer.licenses.values().sum()),
            last_validated: customer.last_validated_at.map(|at| Moment::new(at, now)),
        }
    }
}

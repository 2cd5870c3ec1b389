//! Issues licenses.

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use license_core::LicenseSpec;
use license_core::catalog::{Period, Plan, TermStart};
use license_core::license::{CustomerEmail, CustomerName, ExternalId};
use license_core::limits;
use license_core::service::KeyedLicense;

use super::once;
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Form;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

#[derive(Template)]
#[template(path = "issue.html")]
struct IssuePage {
    page: Page,
    plans: Vec<PlanChoice>,
    most: u32,
    once: String,
}

/// A plan, with what it gives.
struct PlanChoice {
    name: String,
    gives: String,
}

#[derive(Template)]
#[template(path = "issued.html")]
struct IssuedPage<'a> {
    page: Page,
    licenses: Vec<Issued<'a>>,
    /// The fields of the form, to ask for the same licenses as CSV.
    fields: Vec<(&'static str, &'a str)>,
}

struct Issued<'a> {
    id: String,
    key: &'a str,
}

/// The fields of the form.
const FIELDS: [&str; 6] = ["plan", "customer_email", "customer_name", "external_id", "count", "once"];

pub(crate) async fn ask(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
) -> Result<impl IntoResponse, Failure> {
    let plans = console.services.licenses.plans();
    let available = plans.entries().filter(|entry| entry.is_available());
    render(&IssuePage {
        page: Page::new(&visit, "Issue licenses", Section::Issue),
        plans: available.map(|entry| PlanChoice::new(&entry.current().plan)).collect(),
        most: limits::BATCH_LICENSES,
        once: once::new()?,
    })
}

/// Issues the licenses. A form that is sent again shows the same licenses.
pub(crate) async fn issue(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    form: Form,
) -> Result<Response, Failure> {
    let (spec, count) = (spec(&form)?, count(&form)?);
    let licenses = console.services.licenses.by(&visitor.actor);
    let issued = licenses.issue_many(&spec, count, Some(once::key(&form)?)).await?;
    if form.text("format") == Some("csv") {
        let headers = [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
            (header::CONTENT_DISPOSITION, "attachment; filename=\"licenses.csv\""),
        ];
        return Ok((headers, csv(&issued)).into_response());
    }
    let title = if count == 1 { "1 license issued".to_owned() } else { format!("{count} licenses issued") };
    let html = render(&IssuedPage {
        page: Page::new(&visit, title, Section::Issue),
        licenses: issued
            .iter()
            .map(|license| Issued { id: license.detail.license.id.to_string(), key: license.key.reveal() })
            .collect(),
        fields: FIELDS.into_iter().filter_map(|name| Some((name, form.text(name)?))).collect(),
    })?;
    Ok(html.into_response())
}

fn spec(form: &Form) -> Result<LicenseSpec, Failure> {
    let plan = form.text("plan").ok_or_else(|| Failure::field("Plan", "choose one"))?;
    Ok(LicenseSpec {
        customer_email: form.parsed("customer_email", "E-mail", CustomerEmail::parse)?,
        customer_name: form.parsed("customer_name", "Name", CustomerName::parse)?,
        external_id: form.parsed("external_id", "Order or id", ExternalId::parse)?,
        ..LicenseSpec::without_customer(plan)
    })
}

fn count(form: &Form) -> Result<u32, Failure> {
    let range = 1..=limits::BATCH_LICENSES;
    let why = || format!("must be a whole number from 1 to {}", limits::BATCH_LICENSES);
    let count = form.parsed("count", "Number of licenses", |text| text.parse::<u32>().map_err(|_| why()))?;
    let count = count.unwrap_or(1);
    if range.contains(&count) { Ok(count) } else { Err(Failure::field("Number of licenses", why())) }
}

/// Returns ids and keys, which need no quotation marks.
fn csv(issued: &[KeyedLicense]) -> String {
    let rows = issued.iter().map(|one| format!("{},{}\r\n", one.detail.license.id, one.key.reveal()));
    std::iter::once("id,key\r\n".to_owned()).chain(rows).collect()
}

impl PlanChoice {
    fn new(plan: &Plan) -> Self {
        Self { name: plan.name.clone(), gives: gives(plan) }
    }
}

/// Returns what a plan gives, in words.
pub(super) fn gives(plan: &Plan) -> String {
    let ends = plan.term.map_or_else(
        || "never ends".to_owned(),
        |term| match term.starts {
            TermStart::Issue => format!("ends after {}", period(term.period)),
            TermStart::FirstUse => format!("ends {} after its first use", period(term.period)),
        },
    );
    format!("domains: {}, devices: {}, {ends}", plan.max_domains, plan.max_devices)
}

fn period(period: Period) -> String {
    let (count, unit) = match period {
        Period::Days(days) => (days, "day"),
        Period::Months(months) => (months, "month"),
        Period::Years(years) => (years, "year"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

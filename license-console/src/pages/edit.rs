//! Changes plan, limits, customer, order and end of a license.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use license_core::catalog::Limit;
use license_core::command::{Command, LicensePatch};
use license_core::license::{CustomerEmail, CustomerName, Expiry, ExternalId, License, Reason};

use super::choice::Choice;
use super::license::find;
use super::{license_row, see_other};
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Form;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;
use crate::zone;

#[derive(Template)]
#[template(path = "edit.html")]
struct EditPage {
    page: Page,
    id: String,
    name: String,
    plans: Vec<Choice>,
    fields: Fields,
    version: u64,
}

/// The fields of a license as the form shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fields {
    max_domains: String,
    max_devices: String,
    customer_email: String,
    customer_name: String,
    external_id: String,
    /// The day of the end; empty is never.
    expires: String,
}

pub(crate) async fn ask(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let license = find(&console, &id).await?.detail.license;
    let plans = console.services.plans();
    let offered = plans.entries().filter(|entry| entry.is_available() || entry.name == license.plan);
    let name = license_row::name(&license);
    render(&EditPage {
        page: Page::new(&visit, format!("Change the license of {name}"), Section::Licenses),
        id: license.id.to_string(),
        name,
        plans: offered.map(|entry| Choice::new(&entry.name, &license.plan)).collect(),
        fields: Fields::of(&license),
        version: license.version,
    })
}

/// Changes the fields that differ from those of the license. A form of an older version changes nothing.
pub(crate) async fn edit(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let license = find(&console, &id).await?.detail.license;
    let version = form.parsed("version", "Form", str::parse::<u64>)?;
    let version = version.ok_or_else(Failure::hidden_field)?;
    let patch = patch(&form, &license)?;
    let reason = form.parsed("reason", "Reason", Reason::parse)?;
    let licenses = console.services.licenses.by(&visitor.actor).with_reason(reason);
    licenses.execute(&license.id, &Command::Change(patch), Some(version)).await?;
    Ok(see_other(visit.url(&format!("/licenses/{}?done=edit", license.id))))
}

fn patch(form: &Form, license: &License) -> Result<LicensePatch, Failure> {
    let shown = Fields::of(license);
    let differs = |name: &str, shown: &str| form.text(name).unwrap_or_default() != shown;
    let changed = |name, shown: &str| differs(name, shown).then_some(name);
    let plan = form.text("plan").ok_or_else(|| Failure::field("Plan", "choose one"))?;
    let limit = |name, label, shown: &str| -> Result<Option<Limit>, Failure> {
        changed(name, shown).map(|name| limit(form, name, label)).transpose()
    };
    let email = changed("customer_email", &shown.customer_email)
        .map(|name| form.parsed(name, "E-mail", CustomerEmail::parse));
    let name = changed("customer_name", &shown.customer_name)
        .map(|name| form.parsed(name, "Name", CustomerName::parse));
    let external_id = changed("external_id", &shown.external_id)
        .map(|name| form.parsed(name, "Order or id", ExternalId::parse));
    // The zone may have changed since the form was shown, and with it the day of the end.
    let shown_expires = form.sent("shown_expires").ok_or_else(Failure::hidden_field)?;
    let expires = changed("expires", shown_expires).map(|name| form.parsed(name, "Ends", zone::start_of_day));
    Ok(LicensePatch {
        plan: (plan != license.plan).then(|| plan.to_owned()),
        max_domains: limit("max_domains", "Domains", &shown.max_domains)?,
        max_devices: limit("max_devices", "Devices", &shown.max_devices)?,
        customer_email: email.transpose()?,
        customer_name: name.transpose()?,
        external_id: external_id.transpose()?,
        expires_at: expires.transpose()?.map(|end| end.map_or(Expiry::Never, Expiry::At)),
        ..LicensePatch::default()
    })
}

fn limit(form: &Form, name: &str, label: &str) -> Result<Limit, Failure> {
    let number = form.parsed(name, label, |text| {
        text.parse::<u32>().map_err(|_| "must be a whole number, or empty for no limit")
    })?;
    Ok(Limit::from(number))
}

impl Fields {
    fn of(license: &License) -> Self {
        let limit = |limit: Limit| limit.as_number().map(|number| number.to_string()).unwrap_or_default();
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self {
            max_domains: limit(license.max_domains),
            max_devices: limit(license.max_devices),
            customer_email: text(license.customer_email.as_ref().map(CustomerEmail::as_str)),
            customer_name: text(license.customer_name.as_ref().map(CustomerName::as_str)),
            external_id: text(license.external_id.as_ref().map(ExternalId::as_str)),
            expires: license.expires_at.map(zone::day).unwrap_or_default(),
        }
    }
}

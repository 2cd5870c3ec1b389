//! The audit: who changed what.

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use chrono::{DateTime, TimeDelta, Utc};
use license_core::access::{AuditFilter, TokenId};
use license_core::license::LicenseId;
use license_core::limits;
use license_core::store::PageRequest;
use license_core::usage::Day;
use license_core::webhook::EndpointId;

use super::audit_row::AuditRow;
use crate::console::Console;
use crate::day;
use crate::failure::Failure;
use crate::form::{Form, Query};
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

const ENTRIES: u32 = 50;

/// The filters in the URL. None of them is a key or an address.
const FIELDS: [(&str, &str, &str); 6] = [
    ("action", "Action", "text"),
    ("license", "License id", "text"),
    ("token", "Token id", "text"),
    ("endpoint", "Webhook id", "text"),
    ("from", "From", "date"),
    ("until", "Until", "date"),
];

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    page: Page,
    fields: Vec<Field>,
    rows: Vec<AuditRow>,
    is_filtered: bool,
    next_page: Option<String>,
}

/// A field of the filter.
struct Field {
    name: &'static str,
    label: &'static str,
    input: &'static str,
    value: String,
}

pub(crate) async fn list(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let filter = filter(&query)?;
    let after = query.parsed("after", "Page", str::parse::<u64>)?;
    let found = console.services.access.audit(&filter, &PageRequest { after, limit: ENTRIES }).await?;
    let sent = FIELDS.into_iter().filter_map(|(name, ..)| Some((name, query.text(name)?)));
    let next = found.next.map(|next| {
        let mut url = form_urlencoded::Serializer::new(String::new());
        url.extend_pairs(sent).append_pair("after", &next.to_string());
        visit.url(&format!("/audit?{}", url.finish()))
    });
    let field = |(name, label, input)| Field {
        name,
        label,
        input,
        value: query.text(name).unwrap_or_default().to_owned(),
    };
    render(&AuditPage {
        page: Page::new(&visit, "Audit", Section::Audit),
        fields: FIELDS.into_iter().map(field).collect(),
        rows: found.items.iter().map(|audited| AuditRow::new(audited, visit.now)).collect(),
        is_filtered: filter != AuditFilter::default(),
        next_page: next,
    })
}

fn filter(query: &Form) -> Result<AuditFilter, Failure> {
    let until = query.parsed("until", "Until", day)?;
    Ok(AuditFilter {
        license_id: query.parsed("license", "License id", LicenseId::parse)?,
        token_id: query.parsed("token", "Token id", TokenId::parse)?,
        endpoint_id: query.parsed("endpoint", "Webhook id", EndpointId::parse)?,
        action: query.parsed("action", "Action", action)?,
        from: query.parsed("from", "From", day)?,
        to: until.map(|day| day + TimeDelta::days(1)),
    })
}

fn action(text: &str) -> Result<String, &'static str> {
    let is_action = text.len() <= limits::ACTION_BYTES
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte));
    if is_action { Ok(text.to_owned()) } else { Err("must be an action such as license.revoke") }
}

fn day(text: &str) -> Result<DateTime<Utc>, &'static str> {
    day::parse(text).map(Day::start)
}

//! Licenses as CSV of RFC 4180.

use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::catalog::Limit;
use license_core::license::{CustomerEmail, CustomerName, ExternalId};
use license_core::service::{FoundLicenses, KeyedLicense};

use super::usage::escape_formula;
use crate::problem::Problem;
use crate::wire;

/// The columns, which are fields of the JSON of a license.
const COLUMNS: [&str; 17] = [
    "id",
    "key",
    "status",
    "product",
    "plan",
    "customer_email",
    "customer_name",
    "external_id",
    "max_domains",
    "domains_used",
    "max_devices",
    "devices_used",
    "created_at",
    "expires_at",
    "activated_at",
    "last_validated_at",
    "validation_count",
];

/// Answers with a page as a table. The cursor of the next page is in the header `X-Next-Cursor`.
pub(super) fn response(found: &FoundLicenses, now: DateTime<Utc>) -> Result<Response, Problem> {
    let text = table(&found.licenses, now).map_err(|error| {
        tracing::error!(%error, "licenses could not be written");
        Problem::internal()
    })?;
    let csv = "text/csv; charset=utf-8; header=present";
    let next = found.next_cursor.as_ref();
    let next = next.map(|cursor| [(HeaderName::from_static("x-next-cursor"), cursor.clone())]);
    let response = ([(CONTENT_TYPE, csv)], text).into_response();
    Ok(match next {
        Some(next) => (next, response).into_response(),
        None => response,
    })
}

fn table(licenses: &[KeyedLicense], now: DateTime<Utc>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for license in licenses {
        writer.write_record(row(license, now))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn row(KeyedLicense { key, detail, .. }: &KeyedLicense, now: DateTime<Utc>) -> [String; COLUMNS.len()] {
    let license = &*detail.license;
    let text = |text: Option<&str>| escape_formula(text.unwrap_or_default()).into_owned();
    let time = |at: Option<DateTime<Utc>>| at.map(wire::time_text).unwrap_or_default();
    let limit = |limit: Limit| limit.as_number().map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    [
        license.id.to_string(),
        key.reveal().to_owned(),
        license.status(now).to_string(),
        text(Some(&license.product)),
        text(Some(&license.plan)),
        text(license.customer_email.as_ref().map(CustomerEmail::as_str)),
        text(license.customer_name.as_ref().map(CustomerName::as_str)),
        text(license.external_id.as_ref().map(ExternalId::as_str)),
        limit(license.max_domains),
        license.domains_used.to_string(),
        limit(license.max_devices),
        license.devices_used.to_string(),
        time(Some(license.created_at)),
        license.expires_at.map_or_else(|| "never".to_owned(), wire::time_text),
        time(license.activated_at),
        time(detail.counters.last_validated_at),
        detail.counters.validation_count.to_string(),
    ]
}

//! Licenses as rows of a table, without their keys.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::catalog::Limit;
use crate::formula::escape_formula;
use crate::license::{CustomerEmail, CustomerName, ExternalId, LicenseDetail};

/// The columns, which are fields of the JSON of a license.
pub const LICENSE_COLUMNS: [&str; 16] = [
    "id",
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

/// Returns the values of a license at `now`, in the order of the columns. No text of a caller is a formula.
#[must_use]
pub fn license_cells(detail: &LicenseDetail, now: DateTime<Utc>) -> [String; LICENSE_COLUMNS.len()] {
    let license = &*detail.license;
    let text = |text: Option<&str>| escape_formula(text.unwrap_or_default()).into_owned();
    let time = |at: Option<DateTime<Utc>>| at.map(time_text).unwrap_or_default();
    let limit = |limit: Limit| limit.as_number().map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    [
        license.id.to_string(),
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
        license.expires_at.map_or_else(|| "never".to_owned(), time_text),
        time(license.activated_at),
        time(detail.counters.last_validated_at),
        detail.counters.validation_count.to_string(),
    ]
}

fn time_text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

//! Licenses as CSV of RFC 4180.

use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::license_table::{LICENSE_COLUMNS, license_cells};
use license_core::service::{FoundLicenses, KeyedLicense};

use crate::problem::Problem;

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
    writer.write_record(with_key(LICENSE_COLUMNS, "key"))?;
    for KeyedLicense { key, detail, .. } in licenses {
        let cells = license_cells(detail, now);
        writer.write_record(with_key(cells.each_ref().map(String::as_str), key.reveal()))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// Inserts the key after the id.
fn with_key<'a>(
    [id, rest @ ..]: [&'a str; LICENSE_COLUMNS.len()],
    key: &'a str,
) -> impl Iterator<Item = &'a str> {
    [id, key].into_iter().chain(rest)
}

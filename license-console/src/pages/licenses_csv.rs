//! The list of licenses as CSV of RFC 4180.

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures_util::stream::try_unfold;
use license_core::license_table::{LICENSE_COLUMNS, license_cells};
use license_core::limits;
use license_core::service::{FoundLicenses, SearchRequest};

use crate::console::Console;
use crate::failure::Failure;
use crate::filters::Filters;
use crate::form::Query;
use crate::visit::SignedIn;

/// Answers with all licenses that match, a page at a time, so that the size of the list does not matter. The
/// table has no keys.
pub(crate) async fn download(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<Response, Failure> {
    let request =
        SearchRequest { limit: limits::PAGE_ITEMS, count: false, ..Filters::read(&query)?.request() };
    // The first page is read before the answer begins, so that a failure has its page.
    let first = console.services.search.search(&request).await?;
    let now = visit.now;
    let state = Some((Next::Found(first), console, request));
    let pages = try_unfold(state, move |state| async move {
        let Some((next, console, request)) = state else { return Ok(None) };
        let (found, is_first) = match next {
            Next::Found(found) => (found, true),
            Next::Cursor(cursor) => {
                let request = SearchRequest { cursor: Some(cursor), ..request.clone() };
                (console.services.search.search(&request).await?, false)
            }
        };
        let text = table(&found, is_first, now)?;
        let state = found.next_cursor.map(|cursor| (Next::Cursor(cursor), console, request));
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Some((text, state)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"licenses.csv\""),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}

/// The next page of the stream.
enum Next {
    Found(FoundLicenses),
    Cursor(String),
}

fn table(found: &FoundLicenses, is_first: bool, now: DateTime<Utc>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    if is_first {
        writer.write_record(LICENSE_COLUMNS)?;
    }
    for license in &found.licenses {
        writer.write_record(license_cells(&license.detail, now))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

//! What goes over the wire: the JSON shapes that routes share, and [`requests`] as the core understands them. A shape
//! of one route stands with its route.

pub(crate) mod requests;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use license_core::clock::whole_micros;
use license_core::json::LicenseJson;
pub(crate) use license_core::json::{time, time_or_null};
use license_core::service::KeyedLicense;
use serde::Serialize;

use crate::problem::Problem;

/// Room for the headers of an answer to a validation, so that it is made once: the type, the four of the guard and the request's id.
/// Of one more it would be twice as much, and past the sizes for which allocators are quickest.
const HEADERS: usize = 6;

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // One allocation for most answers.
    let mut text = Vec::with_capacity(512);
    match serde_json::to_writer(&mut text, body) {
        Ok(()) => {
            let json = HeaderValue::from_static("application/json");
            let mut response = Response::new(Body::from(text));
            *response.status_mut() = status;
            *response.headers_mut() = HeaderMap::with_capacity(HEADERS);
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        Err(error) => {
            tracing::error!(%error, "an answer can't be written as JSON");
            Problem::internal().into_response()
        }
    }
}

/// One license, with its version as `ETag`. It has a key in clear, so no cache on the way may store it. `now`: when the call began.
pub(crate) fn license(status: StatusCode, license: &KeyedLicense, now: DateTime<Utc>) -> Response {
    let counted = [license.detail.counters.as_of];
    let mut response = json(status, &WithAsOf::new(license_json(license, now), counted, now));
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", license.detail.license.version)) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A time as it stands in JSON.
pub(crate) fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Any RFC 3339 time, in whole microseconds.
pub(crate) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| whole_micros(time.to_utc()))
}

/// A license with its key, as its owner sees it.
pub(crate) fn license_json(keyed: &KeyedLicense, now: DateTime<Utc>) -> LicenseJson<'_> {
    LicenseJson::new(&keyed.detail, Some(keyed.key.reveal()), now, usize::MAX)
}

/// One page of a list.
#[derive(Serialize)]
pub(crate) struct PageJson<T, C> {
    pub(crate) data: Vec<T>,
    pub(crate) next_cursor: Option<C>,
}

/// An answer with counters. It ends with the time as of which they are complete.
#[derive(Serialize)]
pub(crate) struct WithAsOf<T> {
    #[serde(flatten)]
    answer: T,
    #[serde(serialize_with = "time")]
    as_of: DateTime<Utc>,
}

impl<T> WithAsOf<T> {
    /// Shows the earliest of `counted`, the `as_of` of every item in the answer. An item without one is complete as of `now`: the
    /// clock must be read before the store is, because validations answered between the two may be missing otherwise.
    pub(crate) fn new(
        answer: T,
        counted: impl IntoIterator<Item = Option<DateTime<Utc>>>,
        now: DateTime<Utc>,
    ) -> Self {
        let as_of = counted.into_iter().map(|as_of| as_of.unwrap_or(now)).min().unwrap_or(now);
        Self { answer, as_of }
    }
}

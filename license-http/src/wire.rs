//! JSON shapes and time formats that several routes share.

use std::fmt::Display;

use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use license_core::clock::whole_micros;
use license_core::store::Page;
use serde::Serialize;

/// Returns a JSON response.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // A panic would be answered as an internal error.
    let text = serde_json::to_vec(body).expect("types of this crate always serialize");
    (status, [(CONTENT_TYPE, "application/json")], text).into_response()
}

/// Sets `Location`, relative to the request path, so that it works under every prefix and proxy.
pub(crate) fn with_location(response: Response, location: String) -> Response {
    ([(LOCATION, location)], response).into_response()
}

/// Sets `Idempotent-Replayed` if an earlier request with the same `Idempotency-Key` made the change.
pub(crate) fn replayed(repeated: bool, mut response: Response) -> Response {
    if repeated {
        let name = HeaderName::from_static("idempotent-replayed");
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
    response
}

/// Formats a time as RFC 3339 in UTC, with no more digits than needed.
pub(crate) fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Parses an RFC 3339 time and truncates it to microseconds.
pub(crate) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| whole_micros(time.to_utc()))
}

/// Parses a cursor or a part of one: 1 to 18 digits, which every store can represent.
pub(crate) fn parse_position(text: &str) -> Option<u64> {
    let digits = text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// One page of a list.
#[derive(Serialize)]
pub(crate) struct PageJson<T> {
    pub(crate) data: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

/// An answer with counters, followed by the time up to which they are complete.
#[derive(Serialize)]
pub(crate) struct WithAsOf<T> {
    #[serde(flatten)]
    answer: T,
    as_of: DateTime<Utc>,
}

impl<T> PageJson<T> {
    /// Converts a page, with its cursor as text.
    pub(crate) fn new<'a, I, C: Display>(page: &'a Page<I, C>, item: impl FnMut(&'a I) -> T) -> Self {
        let next_cursor = page.next.as_ref().map(ToString::to_string);
        Self { data: page.items.iter().map(item).collect(), next_cursor }
    }
}

impl<T> WithAsOf<T> {
    /// Adds the earliest of `counted`, the `as_of` of each item. An item without one is complete as of `now`.
    ///
    /// Read the clock before the store: validations between the two may be missing from the counters.
    pub(crate) fn new(
        answer: T,
        counted: impl IntoIterator<Item = Option<DateTime<Utc>>>,
        now: DateTime<Utc>,
    ) -> Self {
        let as_of = counted.into_iter().map(|as_of| as_of.unwrap_or(now)).min().unwrap_or(now);
        Self { answer, as_of }
    }
}

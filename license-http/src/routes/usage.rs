//! `/api/v1/licenses/{id}/usage` and `/api/v1/usage`: what one license was used for, and what all were. As JSON, as a table,
//! as a picture.

#[cfg(feature = "charts")]
mod chart;
pub(super) mod json;
mod table;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use chrono::DateTime;
use license_core::service::LicenseService;
use license_core::usage::{Interval, UsageGroup, UsageQuery, UsageReport, ValidationCursor};

use super::events::parse_position;
use crate::extract::{LicensePath, Query, preferred};
use crate::problem::Problem;
use crate::wire::{self, WithAsOf};
use json::{OverviewJson, UsageJson};

const JSON: &str = "application/json";
const CSV: &str = "text/csv";
#[cfg(feature = "charts")]
const SVG: &str = "image/svg+xml";

/// Reads a `next_cursor`: microseconds, and a number.
fn parse_cursor(text: &str) -> Option<ValidationCursor> {
    let (micros, sequence) = text.split_once('_')?;
    let (before_1970, micros) = micros.strip_prefix('-').map_or((false, micros), |micros| (true, micros));
    let micros = i64::try_from(parse_position(micros)?).ok()?;
    let at = DateTime::from_timestamp_micros(if before_1970 { -micros } else { micros })?;
    Some(ValidationCursor { at, sequence: parse_position(sequence)? })
}

/// `default_interval`: where the form of the answer is made of a series.
fn read(mut query: Query, default_interval: Option<Interval>) -> Result<UsageQuery, Problem> {
    let (from, to) = (query.time("from")?, query.time("to")?);
    let interval = query.take("interval", "hour, day or month", Interval::parse)?;
    let group_by = query.take("group_by", "outcome, domain, device or country", UsageGroup::parse)?;
    let page = query.page(parse_cursor)?;
    query.finish()?;
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(Problem::bad_request("from", "This must not be after to."));
    }
    Ok(UsageQuery { from, to, interval: interval.or(default_interval), group_by, page })
}

pub(super) async fn usage(
    State(service): State<Arc<LicenseService>>,
    LicensePath(id): LicensePath,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    let offered = [
        JSON,
        CSV,
        #[cfg(feature = "charts")]
        SVG,
    ];
    match preferred(&headers, &offered) {
        Some(CSV) => {
            let query = read(query, Some(Interval::Day))?;
            table(&service.usage(&id, &query).await?)
        }
        #[cfg(feature = "charts")]
        Some(SVG) => {
            let query = read(query, Some(Interval::Day))?;
            let interval = query.interval.unwrap_or(Interval::Day);
            let title = format!("Validations of {id} by {}", interval.as_str());
            picture(&service.usage(&id, &query).await?, interval, &title)
        }
        _ => {
            let query = read(query, None)?;
            let now = service.now();
            let report = service.usage(&id, &query).await?;
            let json = UsageJson::new(&report, query.interval.is_some());
            Ok(varied(wire::json(StatusCode::OK, &WithAsOf::new(json, [report.as_of], now))))
        }
    }
}

pub(super) async fn overview(
    State(service): State<Arc<LicenseService>>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    if preferred(&headers, &[JSON, CSV]) == Some(CSV) {
        let query = read(query, Some(Interval::Day))?;
        return table(&service.usage_of_all(&query).await?.usage);
    }
    let query = read(query, None)?;
    let now = service.now();
    let overview = service.usage_of_all(&query).await?;
    let json = OverviewJson::new(&overview, query.interval.is_some());
    Ok(varied(wire::json(StatusCode::OK, &WithAsOf::new(json, [overview.usage.as_of], now))))
}

fn table(report: &UsageReport) -> Result<Response, Problem> {
    let text = table::csv(report).map_err(|error| {
        tracing::error!(%error, "usage can't be written as a table");
        Problem::internal()
    })?;
    let csv = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    Ok(answer(csv, text))
}

#[cfg(feature = "charts")]
fn picture(report: &UsageReport, interval: Interval, title: &str) -> Result<Response, Problem> {
    use axum::http::header::CONTENT_SECURITY_POLICY;
    let text = chart::svg(report, interval, title).map_err(|error| {
        tracing::error!(%error, "usage can't be drawn");
        Problem::internal()
    })?;
    let mut response = answer(HeaderValue::from_static(SVG), text.into_bytes());
    // Its own style has the colours of dark pages; it runs nothing, and loads nothing.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    Ok(response)
}

fn answer(content_type: HeaderValue, text: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    varied(response)
}

/// The answer has another form for who accepts another.
fn varied(mut response: Response) -> Response {
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

//! `/api/v1/licenses/{id}/usage` and `/api/v1/usage`: usage of one license or of all, as JSON, CSV or an
//! SVG chart.

#[cfg(feature = "charts")]
mod chart;
pub(crate) mod json;
mod table;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use chrono::DateTime;
use license_core::service::Services;
use license_core::usage::{Interval, UsageGroup, UsageQuery, UsageReport, ValidationCursor};

use crate::extract::{LicensePath, Query, preferred};
use crate::problem::Problem;
use crate::wire::{self, WithAsOf, parse_position};
use json::{OverviewJson, UsageJson};

const JSON: &str = "application/json";
const CSV: &str = "text/csv";
#[cfg(feature = "charts")]
const SVG: &str = "image/svg+xml";

/// Parses a cursor: `<microseconds>_<sequence>`.
fn parse_cursor(text: &str) -> Option<ValidationCursor> {
    let (micros, sequence) = text.split_once('_')?;
    let (before_1970, micros) = micros.strip_prefix('-').map_or((false, micros), |micros| (true, micros));
    let micros = i64::try_from(parse_position(micros)?).ok()?;
    let at = DateTime::from_timestamp_micros(if before_1970 { -micros } else { micros })?;
    Some(ValidationCursor { at, sequence: parse_position(sequence)? })
}

/// Parses the query. `default_interval` is for media types that always show a series.
fn parse(mut query: Query, default_interval: Option<Interval>) -> Result<UsageQuery, Problem> {
    let [from, to] = query.time_range()?;
    let interval = query.take("interval", "hour, day or month", Interval::parse)?;
    let group_by = query.take("group_by", "outcome, domain, device or country", UsageGroup::parse)?;
    let page = query.page(parse_cursor)?;
    query.finish()?;
    Ok(UsageQuery { from, to, interval: interval.or(default_interval), group_by, page })
}

pub(super) async fn usage(
    State(services): State<Arc<Services>>,
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
            let query = parse(query, Some(Interval::Day))?;
            table(&services.usage.report(&id, &query).await?)
        }
        #[cfg(feature = "charts")]
        Some(SVG) => {
            let query = parse(query, Some(Interval::Day))?;
            let interval = query.interval.unwrap_or(Interval::Day);
            let title = format!("Validations of {id} by {}", interval.as_str());
            chart(&services.usage.report(&id, &query).await?, interval, &title)
        }
        _ => {
            let query = parse(query, None)?;
            let now = services.now();
            let report = services.usage.report(&id, &query).await?;
            let json = UsageJson::new(&report, query.interval.is_some());
            Ok(vary_by_accept(wire::json(StatusCode::OK, &WithAsOf::new(json, [report.as_of], now))))
        }
    }
}

pub(super) async fn overview(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    if preferred(&headers, &[JSON, CSV]) == Some(CSV) {
        let query = parse(query, Some(Interval::Day))?;
        return table(&services.usage.overview(&query).await?.usage);
    }
    let query = parse(query, None)?;
    let now = services.now();
    let overview = services.usage.overview(&query).await?;
    let json = OverviewJson::new(&overview, query.interval.is_some());
    Ok(vary_by_accept(wire::json(StatusCode::OK, &WithAsOf::new(json, [overview.usage.as_of], now))))
}

fn table(report: &UsageReport) -> Result<Response, Problem> {
    let text = table::csv(report).map_err(|error| {
        tracing::error!(%error, "usage could not be written as CSV");
        Problem::internal()
    })?;
    let csv = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    Ok(answer(csv, text))
}

#[cfg(feature = "charts")]
fn chart(report: &UsageReport, interval: Interval, title: &str) -> Result<Response, Problem> {
    use axum::http::header::CONTENT_SECURITY_POLICY;
    let text = chart::svg(report, interval, title).map_err(|error| {
        tracing::error!(%error, "usage chart could not be drawn");
        Problem::internal()
    })?;
    let mut response = answer(HeaderValue::from_static(SVG), text.into_bytes());
    // Inline styles adapt the chart to dark mode. Scripts and other resources are blocked.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    Ok(response)
}

fn answer(content_type: HeaderValue, text: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    vary_by_accept(response)
}

/// Tells caches that the response depends on `Accept`.
fn vary_by_accept(mut response: Response) -> Response {
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

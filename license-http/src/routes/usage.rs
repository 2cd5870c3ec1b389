//! `/api/v1/licenses/{id}/usage` and `/api/v1/usage`: usage of one license or of all, as JSON, CSV or an
//! SVG chart.

#[cfg(feature = "charts")]
mod chart;
pub(crate) mod json;
mod table;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use license_core::usage::{Interval, UsageGroup, UsageQuery, UsageReport, ValidationCursor};

use crate::extract::{LicensePath, Query, preferred};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, WithAsOf, parse_position};
use json::{OverviewJson, UsageJson};

const JSON: &str = "application/json";
const CSV: &str = "text/csv";
#[cfg(feature = "charts")]
const SVG: &str = "image/svg+xml";

/// Tells caches that the response depends on `Accept`.
const VARIES: [(HeaderName, &str); 1] = [(VARY, "accept")];

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
    State(state): State<HttpState>,
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
            table(&state.services.usage.report(&id, &query).await?)
        }
        #[cfg(feature = "charts")]
        Some(SVG) => {
            let query = parse(query, Some(Interval::Day))?;
            let interval = query.interval.unwrap_or(Interval::Day);
            let title = format!("Validations of {id} by {}", interval.as_str());
            chart(&state.services.usage.report(&id, &query).await?, interval, &title)
        }
        _ => {
            let query = parse(query, None)?;
            let now = state.services.now();
            let report = state.services.usage.report(&id, &query).await?;
            let json = UsageJson::new(&report, query.interval.is_some());
            Ok((VARIES, wire::json(StatusCode::OK, &WithAsOf::new(json, [report.as_of], now)))
                .into_response())
        }
    }
}

pub(super) async fn overview(
    State(state): State<HttpState>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    if preferred(&headers, &[JSON, CSV]) == Some(CSV) {
        let query = parse(query, Some(Interval::Day))?;
        return table(&state.services.usage.overview(&query).await?.usage);
    }
    let query = parse(query, None)?;
    let now = state.services.now();
    let overview = state.services.usage.overview(&query).await?;
    let json = OverviewJson::new(&overview, query.interval.is_some());
    Ok((VARIES, wire::json(StatusCode::OK, &WithAsOf::new(json, [overview.usage.as_of], now)))
        .into_response())
}

fn table(report: &UsageReport) -> Result<Response, Problem> {
    let text = table::csv(report).map_err(|error| unwritable(&error))?;
    let csv = "text/csv; charset=utf-8; header=present";
    Ok((VARIES, [(CONTENT_TYPE, csv)], text).into_response())
}

#[cfg(feature = "charts")]
fn chart(report: &UsageReport, interval: Interval, title: &str) -> Result<Response, Problem> {
    use axum::http::header::CONTENT_SECURITY_POLICY;
    let text = chart::svg(report, interval, title).map_err(|error| unwritable(&*error))?;
    // Inline styles adapt the chart to dark mode. Scripts and other resources are blocked.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    Ok((VARIES, [(CONTENT_TYPE, SVG), (CONTENT_SECURITY_POLICY, policy)], text).into_response())
}

fn unwritable(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "usage could not be written");
    Problem::internal()
}

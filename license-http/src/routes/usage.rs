//! `/api/v1/licenses/{id}/usage`: what a license was used for.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::activation::Fingerprint;
use license_core::client::Client;
use license_core::domain::DomainName;
use license_core::place::Region;
use license_core::service::LicenseService;
use license_core::usage::{UsageQuery, UsageReport, Validation, ValidationCursor};
use serde::Serialize;

use super::events::parse_position;
use crate::extract::{LicensePath, Query};
use crate::problem::Problem;
use crate::wire;

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Usage))]
pub(super) struct UsageJson<'a> {
    /// Validations in the time asked for, denied ones included.
    total: u64,
    /// Those of them that were denied.
    denied: u64,
    /// The last valid one of all times.
    #[serde(serialize_with = "wire::time_or_null")]
    last_validated_at: Option<DateTime<Utc>>,
    /// How many had each outcome: VALID, or the code of a denial.
    by_outcome: BTreeMap<&'static str, u64>,
    /// The last ones, newest first.
    recent: Vec<ValidationJson<'a>>,
    /// The cursor of the next page; null on the last one.
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Validation))]
pub(super) struct ValidationJson<'a> {
    /// When.
    #[serde(serialize_with = "wire::time")]
    at: DateTime<Utc>,
    /// VALID, or the code of the denial.
    outcome: &'static str,
    /// The domain that asked.
    domain: Option<&'a str>,
    /// The device that asked.
    fingerprint: Option<&'a str>,
    /// From which country, by the two letters of ISO 3166; null: unknown.
    country: Option<&'a str>,
    /// From which part of it; null: unknown.
    region: Option<&'a str>,
    /// The software that asked: its name, and its version behind a slash; null: it did not tell.
    client: Option<&'a str>,
}

impl<'a> From<&'a Validation> for ValidationJson<'a> {
    fn from(validation: &'a Validation) -> Self {
        let Validation { license_id: _, at, outcome, claim, covered_by: _, place, client } = validation;
        Self {
            at: *at,
            outcome: outcome.as_str(),
            domain: claim.domain.as_ref().map(DomainName::as_str),
            fingerprint: claim.fingerprint.as_ref().map(Fingerprint::as_str),
            country: place.as_ref().map(|place| place.country.as_str()),
            region: place.as_ref().and_then(|place| place.region.as_ref()).map(Region::as_str),
            client: client.as_ref().map(Client::as_str),
        }
    }
}

impl<'a> From<&'a UsageReport> for UsageJson<'a> {
    fn from(report: &'a UsageReport) -> Self {
        let recent = report.recent.items.iter().map(ValidationJson::from);
        Self {
            total: report.total(),
            denied: report.denied(),
            last_validated_at: report.last_validated_at,
            by_outcome: report.by_outcome.iter().map(|(outcome, count)| (outcome.as_str(), *count)).collect(),
            recent: recent.collect(),
            next_cursor: report
                .recent
                .next
                .map(|ValidationCursor { at, sequence }| format!("{}_{sequence}", at.timestamp_micros())),
        }
    }
}

/// Reads a `next_cursor`: microseconds, and a number.
fn parse_cursor(text: &str) -> Option<ValidationCursor> {
    let (micros, sequence) = text.split_once('_')?;
    let (before_1970, micros) = micros.strip_prefix('-').map_or((false, micros), |micros| (true, micros));
    let micros = i64::try_from(parse_position(micros)?).ok()?;
    let at = DateTime::from_timestamp_micros(if before_1970 { -micros } else { micros })?;
    Some(ValidationCursor { at, sequence: parse_position(sequence)? })
}

pub(super) async fn usage(
    State(service): State<Arc<LicenseService>>,
    LicensePath(id): LicensePath,
    mut query: Query,
) -> Result<Response, Problem> {
    let (from, to) = (query.time("from")?, query.time("to")?);
    let page = query.page(parse_cursor)?;
    query.finish()?;
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(Problem::bad_request("from", "This must not be after to."));
    }
    let report = service.usage(&id, &UsageQuery { from, to, page }).await?;
    Ok(wire::json(StatusCode::OK, &UsageJson::from(&report)))
}

//! `/api/v1/licenses/{id}/usage`: what a license was used for.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::activation::Fingerprint;
use license_core::domain::DomainName;
use license_core::service::LicenseService;
use license_core::usage::{UsageQuery, UsageReport, Validation, ValidationCursor};
use serde::Serialize;

use crate::extract::{LicensePath, Query};
use crate::problem::Problem;
use crate::wire;

#[derive(Serialize)]
struct UsageJson<'a> {
    total: u64,
    denied: u64,
    #[serde(serialize_with = "wire::time_or_null")]
    last_validated_at: Option<DateTime<Utc>>,
    by_outcome: BTreeMap<&'static str, u64>,
    recent: Vec<ValidationJson<'a>>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
pub(super) struct ValidationJson<'a> {
    #[serde(serialize_with = "wire::time")]
    at: DateTime<Utc>,
    outcome: &'static str,
    domain: Option<&'a str>,
    fingerprint: Option<&'a str>,
}

impl<'a> From<&'a Validation> for ValidationJson<'a> {
    fn from(validation: &'a Validation) -> Self {
        let Validation { license_id: _, at, outcome, claim } = validation;
        Self {
            at: *at,
            outcome: outcome.as_str(),
            domain: claim.domain.as_ref().map(DomainName::as_str),
            fingerprint: claim.fingerprint.as_ref().map(Fingerprint::as_str),
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

/// Reads a `next_cursor`. Stores number in 64 bits with a sign.
fn parse_cursor(text: &str) -> Option<ValidationCursor> {
    let (micros, sequence) = text.split_once('_')?;
    let at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
    let sequence = sequence.parse().ok().filter(|sequence| i64::try_from(*sequence).is_ok())?;
    Some(ValidationCursor { at, sequence })
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

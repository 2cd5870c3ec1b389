//! Usage as JSON.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use license_core::activation::Fingerprint;
use license_core::client::Client;
use license_core::domain::DomainName;
use license_core::place::{Country, Place, Region};
use license_core::usage::{
    Breakdown, Day, LicenseUsage, PlanUsage, Rollup, RollupKey, UsageOverview, UsagePoint, UsageReport,
    UsageShare, Validation, ValidationCursor, ValidationOutcome,
};
use serde::Serialize;

use crate::wire;

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Usage))]
pub(in crate::routes) struct UsageJson<'a> {
    /// Valid answers in the time asked for.
    total: u64,
    /// Denied ones.
    denied: u64,
    /// The last valid one in that time.
    #[serde(serialize_with = "wire::time_or_null")]
    last_validated_at: Option<DateTime<Utc>>,
    /// How many had each outcome: VALID, or the code of a denial.
    by_outcome: BTreeMap<&'static str, u64>,
    /// The first one in that time, denied ones included.
    #[serde(serialize_with = "wire::time_or_null")]
    first_at: Option<DateTime<Utc>>,
    /// The last one in that time, denied ones included.
    #[serde(serialize_with = "wire::time_or_null")]
    last_at: Option<DateTime<Utc>>,
    /// Every interval of that time, in order; null where no `interval` is asked for.
    series: Option<Vec<PointJson>>,
    /// By what `group_by` names; null where it names nothing.
    breakdown: Option<BreakdownJson<'a>>,
    /// From when on hours, parts of days and single validations are kept; null: all are.
    #[serde(serialize_with = "wire::time_or_null")]
    records_from: Option<DateTime<Utc>>,
    /// From when on days are kept; what was before is in the figures of all time only; null: all are.
    #[serde(serialize_with = "wire::time_or_null")]
    days_from: Option<DateTime<Utc>>,
    /// The last ones that are kept, newest first.
    recent: Vec<ValidationJson<'a>>,
    /// The cursor of the next page; null on the last one.
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UsagePoint))]
pub(in crate::routes) struct PointJson {
    /// When the interval begins.
    #[serde(serialize_with = "wire::time")]
    start: DateTime<Utc>,
    /// Valid answers in it.
    total: u64,
    /// Denied ones.
    denied: u64,
    /// How many had each outcome.
    by_outcome: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UsageBreakdown))]
pub(in crate::routes) struct BreakdownJson<'a> {
    /// By what.
    by: &'static str,
    /// The values with most validations, those first; at most 50.
    shares: Vec<ShareJson<'a>>,
    /// How many validations had other values, or are older than what is kept by day.
    other: u64,
    /// Their share, from 0 to 1.
    other_share: f64,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UsageShare))]
pub(in crate::routes) struct ShareJson<'a> {
    /// The value; null: unknown.
    value: Option<&'a str>,
    /// Validations with it, denied ones included.
    count: u64,
    /// Their share, from 0 to 1.
    share: f64,
    /// The first of them.
    #[serde(serialize_with = "wire::time")]
    first_at: DateTime<Utc>,
    /// The last of them.
    #[serde(serialize_with = "wire::time")]
    last_at: DateTime<Utc>,
}

/// A record of the history.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Validation))]
pub(in crate::routes) struct ValidationJson<'a> {
    /// The license; left out where only one is asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    license_id: Option<&'a str>,
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

/// Validations of a day that are alike.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Rollup))]
pub(in crate::routes) struct RollupJson<'a> {
    /// The day, of UTC.
    day: String,
    /// VALID, or the code of the denial.
    outcome: &'static str,
    /// The domain that asked.
    domain: Option<&'a str>,
    /// The device that asked.
    fingerprint: Option<&'a str>,
    /// From which country, by the two letters of ISO 3166; null: unknown.
    country: Option<&'a str>,
    /// How many.
    count: u64,
    /// The first.
    #[serde(serialize_with = "wire::time")]
    first_at: DateTime<Utc>,
    /// The last.
    #[serde(serialize_with = "wire::time")]
    last_at: DateTime<Utc>,
}

impl<'a> From<&'a Rollup> for RollupJson<'a> {
    fn from(Rollup { key, sum }: &'a Rollup) -> Self {
        let RollupKey { day, license_id: _, outcome, domain, device, country } = key;
        Self {
            day: day.start().format("%Y-%m-%d").to_string(),
            outcome: outcome.as_str(),
            domain: domain.as_ref().map(DomainName::as_str),
            fingerprint: device.as_ref().map(Fingerprint::as_str),
            country: country.as_ref().map(Country::as_str),
            count: sum.count,
            first_at: sum.first_at,
            last_at: sum.last_at,
        }
    }
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UsageOverview))]
pub(in crate::routes) struct OverviewJson<'a> {
    /// What all licenses were used for together.
    usage: UsageJson<'a>,
    /// Licenses with a valid answer in the time asked for.
    active_licenses: u64,
    /// Domains likewise, by name.
    active_domains: u64,
    /// Devices likewise, by fingerprint.
    active_devices: u64,
    /// The ten licenses with most valid answers.
    top_licenses: Vec<LicenseUsageJson<'a>>,
    /// By the plan that licenses have now.
    by_plan: Vec<PlanUsageJson<'a>>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = LicenseUsage))]
pub(in crate::routes) struct LicenseUsageJson<'a> {
    /// The license.
    license_id: &'a str,
    /// Valid answers.
    total: u64,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PlanUsage))]
pub(in crate::routes) struct PlanUsageJson<'a> {
    /// The plan's name.
    plan: &'a str,
    /// Its licenses with a valid answer.
    active_licenses: u64,
    /// Valid answers.
    total: u64,
    /// Denied ones.
    denied: u64,
}

fn counts(by_outcome: &BTreeMap<ValidationOutcome, u64>) -> BTreeMap<&'static str, u64> {
    by_outcome.iter().map(|(outcome, count)| (outcome.as_str(), *count)).collect()
}

/// The part that `count` is of all; 0 of nothing.
pub(super) fn share(count: u64, all: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share is rounded anyway")]
    if all == 0 { 0.0 } else { count as f64 / all as f64 }
}

impl<'a> From<&'a Validation> for ValidationJson<'a> {
    fn from(validation: &'a Validation) -> Self {
        let Validation { license_id: _, at, outcome, claim, covered_by: _, place, client } = validation;
        Self {
            license_id: None,
            at: *at,
            outcome: outcome.as_str(),
            domain: claim.domain.as_ref().map(DomainName::as_str),
            fingerprint: claim.fingerprint.as_ref().map(Fingerprint::as_str),
            country: place.as_ref().map(|Place { country, .. }| country.as_str()),
            region: place.as_ref().and_then(|place| place.region.as_ref()).map(Region::as_str),
            client: client.as_ref().map(Client::as_str),
        }
    }
}

impl From<&UsagePoint> for PointJson {
    fn from(point: &UsagePoint) -> Self {
        Self {
            start: point.start,
            total: point.total(),
            denied: point.denied(),
            by_outcome: counts(&point.by_outcome),
        }
    }
}

impl<'a> UsageJson<'a> {
    /// `with_series`: whether a series was asked for.
    pub(super) fn new(report: &'a UsageReport, with_series: bool) -> Self {
        let all = report.by_outcome.values().sum();
        let breakdown = report.breakdown.as_ref().map(|Breakdown { by, shares, other }| BreakdownJson {
            by: by.as_str(),
            shares: shares
                .iter()
                .map(|UsageShare { value, sum }| ShareJson {
                    value: value.as_deref(),
                    count: sum.count,
                    share: share(sum.count, all),
                    first_at: sum.first_at,
                    last_at: sum.last_at,
                })
                .collect(),
            other: *other,
            other_share: share(*other, all),
        });
        Self {
            total: report.total(),
            denied: report.denied(),
            last_validated_at: report.last_validated_at,
            by_outcome: counts(&report.by_outcome),
            first_at: report.first_at,
            last_at: report.last_at,
            series: with_series.then(|| report.series.iter().map(PointJson::from).collect()),
            breakdown,
            records_from: report.kept.records_from,
            days_from: report.kept.rollups_from.map(Day::start),
            recent: report.recent.items.iter().map(ValidationJson::from).collect(),
            next_cursor: report
                .recent
                .next
                .map(|ValidationCursor { at, sequence }| format!("{}_{sequence}", at.timestamp_micros())),
        }
    }
}

impl<'a> OverviewJson<'a> {
    pub(super) fn new(overview: &'a UsageOverview, with_series: bool) -> Self {
        let mut usage = UsageJson::new(&overview.usage, with_series);
        for (json, validation) in usage.recent.iter_mut().zip(&overview.usage.recent.items) {
            json.license_id = Some(validation.license_id.as_str());
        }
        let top = overview.top_licenses.iter();
        let plans = overview.by_plan.iter();
        Self {
            usage,
            active_licenses: overview.active_licenses,
            active_domains: overview.active_domains,
            active_devices: overview.active_devices,
            top_licenses: top
                .map(|LicenseUsage { license_id, total }| LicenseUsageJson {
                    license_id: license_id.as_str(),
                    total: *total,
                })
                .collect(),
            by_plan: plans
                .map(|PlanUsage { plan, active_licenses, total, denied }| PlanUsageJson {
                    plan,
                    active_licenses: *active_licenses,
                    total: *total,
                    denied: *denied,
                })
                .collect(),
        }
    }
}

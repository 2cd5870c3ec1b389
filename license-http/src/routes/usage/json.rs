//! Usage as JSON.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use license_core::domain::DomainName;
use license_core::license::Fingerprint;
use license_core::usage::{
    Breakdown, Client, Country, Day, LicenseUsage, Location, PlanUsage, Region, Rollup, RollupKey,
    UsageOverview, UsagePoint, UsageReport, UsageShare, Validation, ValidationCursor, ValidationOutcome,
};
use serde::Serialize;

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Usage))]
pub(crate) struct UsageJson<'a> {
    /// Valid answers in the range.
    total: u64,
    /// Denied answers.
    denied: u64,
    /// Last valid answer in the range; null if there is none.
    last_validated_at: Option<DateTime<Utc>>,
    /// Number of answers by outcome: VALID, or the code of a denial.
    by_outcome: BTreeMap<&'static str, u64>,
    /// First answer in the range, valid or denied.
    first_at: Option<DateTime<Utc>>,
    /// Last answer in the range, valid or denied.
    last_at: Option<DateTime<Utc>>,
    /// All intervals of the range, in order; null without `interval`.
    series: Option<Vec<PointJson>>,
    /// Breakdown by `group_by`; null without it.
    breakdown: Option<BreakdownJson<'a>>,
    /// Start of the single validations kept; earlier ones are counted by day. Null if all are kept.
    records_from: Option<DateTime<Utc>>,
    /// Start of the days kept; earlier ones are in the all-time counts only. Null if all are kept.
    days_from: Option<DateTime<Utc>>,
    /// One page of single validations, newest first.
    recent: Vec<ValidationJson<'a>>,
    /// Cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UsagePoint))]
pub(crate) struct PointJson {
    /// Start of the interval.
    start: DateTime<Utc>,
    /// Valid answers in the interval.
    total: u64,
    /// Denied answers.
    denied: u64,
    /// Number of answers by outcome.
    by_outcome: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UsageBreakdown))]
pub(crate) struct BreakdownJson<'a> {
    /// The `group_by` of the request.
    by: &'static str,
    /// The 50 most frequent values, in descending order.
    shares: Vec<ShareJson<'a>>,
    /// Validations with other values, or older than the days kept.
    other: u64,
    /// Share of `other`, from 0 to 1.
    other_share: f64,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UsageShare))]
pub(crate) struct ShareJson<'a> {
    /// The value; null if unknown.
    value: Option<&'a str>,
    /// Validations with this value, valid or denied.
    count: u64,
    /// Share of all validations, from 0 to 1.
    share: f64,
    /// First validation with this value.
    first_at: DateTime<Utc>,
    /// Last validation with this value.
    last_at: DateTime<Utc>,
}

/// A single validation.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Validation))]
pub(crate) struct ValidationJson<'a> {
    /// The license; omitted if the request is about one license.
    #[serde(skip_serializing_if = "Option::is_none")]
    license_id: Option<&'a str>,
    /// Time of the validation.
    at: DateTime<Utc>,
    /// VALID, or the code of the denial.
    outcome: &'static str,
    /// Domain of the validation; null if not sent.
    domain: Option<&'a str>,
    /// Device fingerprint; null if not sent.
    fingerprint: Option<&'a str>,
    /// Country, ISO 3166 alpha-2; null if unknown.
    country: Option<&'a str>,
    /// Region of the country; null if unknown.
    region: Option<&'a str>,
    /// Client software as `name` or `name/version`; null if not sent.
    client: Option<&'a str>,
}

/// Number of equal validations of one day.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Rollup))]
pub(crate) struct RollupJson<'a> {
    /// Day in UTC.
    day: String,
    /// VALID, or the code of the denial.
    outcome: &'static str,
    /// Domain of the validation; null if not sent.
    domain: Option<&'a str>,
    /// Device fingerprint; null if not sent.
    fingerprint: Option<&'a str>,
    /// Country, ISO 3166 alpha-2; null if unknown.
    country: Option<&'a str>,
    /// Number of validations.
    count: u64,
    /// First validation.
    first_at: DateTime<Utc>,
    /// Last validation.
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
pub(crate) struct OverviewJson<'a> {
    /// Usage of all licenses.
    usage: UsageJson<'a>,
    /// Licenses with a valid answer in the range.
    active_licenses: u64,
    /// Distinct domains with a valid answer.
    active_domains: u64,
    /// Distinct device fingerprints with a valid answer.
    active_devices: u64,
    /// The ten licenses with the most valid answers.
    top_licenses: Vec<LicenseUsageJson<'a>>,
    /// Usage by the current plan of the licenses.
    by_plan: Vec<PlanUsageJson<'a>>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = LicenseUsage))]
pub(crate) struct LicenseUsageJson<'a> {
    /// The license.
    license_id: &'a str,
    /// Valid answers.
    total: u64,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PlanUsage))]
pub(crate) struct PlanUsageJson<'a> {
    /// Name of the plan.
    plan: &'a str,
    /// Licenses of the plan with a valid answer.
    active_licenses: u64,
    /// Valid answers.
    total: u64,
    /// Denied answers.
    denied: u64,
}

fn counts(by_outcome: &BTreeMap<ValidationOutcome, u64>) -> BTreeMap<&'static str, u64> {
    by_outcome.iter().map(|(outcome, count)| (outcome.as_str(), *count)).collect()
}

/// Returns `count / all`, or 0 if `all` is 0.
pub(super) fn share(count: u64, all: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share is rounded anyway")]
    if all == 0 { 0.0 } else { count as f64 / all as f64 }
}

impl<'a> From<&'a Validation> for ValidationJson<'a> {
    fn from(validation: &'a Validation) -> Self {
        let Validation { license_id: _, at, outcome, claim, covered_by: _, location, client } = validation;
        Self {
            license_id: None,
            at: *at,
            outcome: outcome.as_str(),
            domain: claim.domain.as_ref().map(DomainName::as_str),
            fingerprint: claim.fingerprint.as_ref().map(Fingerprint::as_str),
            country: location.as_ref().map(|Location { country, .. }| country.as_str()),
            region: location.as_ref().and_then(|location| location.region.as_ref()).map(Region::as_str),
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
    /// Set `with_series` if the request has an interval.
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
        let license = |one: &'a LicenseUsage| LicenseUsageJson {
            license_id: one.license_id.as_str(),
            total: one.total,
        };
        let plan = |PlanUsage { plan, active_licenses, total, denied }: &'a PlanUsage| PlanUsageJson {
            plan,
            active_licenses: *active_licenses,
            total: *total,
            denied: *denied,
        };
        Self {
            usage,
            active_licenses: overview.active_licenses,
            active_domains: overview.active_domains,
            active_devices: overview.active_devices,
            top_licenses: overview.top_licenses.iter().map(license).collect(),
            by_plan: overview.by_plan.iter().map(plan).collect(),
        }
    }
}

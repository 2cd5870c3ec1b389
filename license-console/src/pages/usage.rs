//! Usage of all licenses.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::usage::{Breakdown, UsageGroup, UsageOverview, UsageQuery};

use super::choice::{Choice, choices};
use crate::chart::Chart;
use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::form::{Form, Query};
use crate::moment::Moment;
use crate::numbers::grouped;
use crate::page::{Page, Section, render};
use crate::visit::{SignedIn, Visit};

/// Numbers of days that people can choose.
const DAYS: [i64; 4] = [7, 30, 90, 365];
const DAYS_DEFAULT: i64 = 30;

#[derive(Template)]
#[template(path = "usage.html")]
struct UsagePage {
    page: Page,
    days: Vec<Choice>,
    groups: Vec<Choice>,
    chart: Chart,
    licenses: String,
    domains: String,
    devices: String,
    shares: Option<Shares>,
    top: Vec<TopRow>,
    plans: Vec<(String, String)>,
    csv: String,
}

/// Validations by a property.
struct Shares {
    by: &'static str,
    rows: Vec<ShareRow>,
    /// Validations with other values.
    other: String,
}

struct ShareRow {
    value: String,
    count: String,
    last: Moment,
}

/// One of the licenses with most validations.
struct TopRow {
    id: String,
    count: String,
}

/// What the URL asks for.
struct Wanted {
    days: i64,
    group: Option<UsageGroup>,
}

pub(crate) async fn show(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let wanted = Wanted::read(&query)?;
    let UsageOverview { usage, active_licenses, active_domains, active_devices, top_licenses, by_plan } =
        overview(&console, &visit, &wanted).await?;
    let days = wanted.days.to_string();
    let groups = UsageGroup::ALL.map(|group| (group.as_str().to_owned(), group.as_str().to_owned()));
    render(&UsagePage {
        page: Page::new(&visit, "Usage", Section::Usage),
        days: DAYS.map(|number| Choice::new(&number.to_string(), &days)).into(),
        groups: choices("Nothing", groups, wanted.group.map(UsageGroup::as_str)),
        chart: Chart::new(&usage.series),
        licenses: grouped(active_licenses),
        domains: grouped(active_domains),
        devices: grouped(active_devices),
        shares: usage.breakdown.as_ref().map(|breakdown| Shares::new(breakdown, visit.now)),
        top: top_licenses
            .iter()
            .map(|one| TopRow { id: one.license_id.to_string(), count: grouped(one.total) })
            .collect(),
        plans: by_plan.iter().map(|one| (one.plan.clone(), grouped(one.total))).collect(),
        csv: visit.url(&format!("/usage.csv?days={days}")),
    })
}

/// Returns the days as a table.
pub(crate) async fn download(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<Response, Failure> {
    let found = overview(&console, &visit, &Wanted::read(&query)?).await?;
    let mut csv = "day,valid,denied\r\n".to_owned();
    for point in &found.usage.series {
        let day = point.start.format("%Y-%m-%d");
        write!(csv, "{day},{},{}\r\n", point.total(), point.denied()).map_err(|_| Failure::internal())?;
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"usage.csv\""),
    ];
    Ok((headers, csv).into_response())
}

async fn overview(console: &Shared, visit: &Visit, wanted: &Wanted) -> Result<UsageOverview, Failure> {
    let query = UsageQuery { group_by: wanted.group, ..Chart::query(wanted.days, visit.now) };
    Ok(console.services.usage.overview(&query).await?)
}

impl Wanted {
    fn read(query: &Form) -> Result<Self, Failure> {
        let days = query.parsed("days", "Days", |text| {
            let days = DAYS.into_iter().find(|days| days.to_string() == text);
            days.ok_or("must be 7, 30, 90 or 365")
        })?;
        let group = query.parsed("by", "By", |text| {
            UsageGroup::parse(text).ok_or("must be outcome, domain, device or country")
        })?;
        Ok(Self { days: days.unwrap_or(DAYS_DEFAULT), group })
    }
}

impl Shares {
    fn new(Breakdown { by, shares, other }: &Breakdown, now: DateTime<Utc>) -> Self {
        let row = |share: &license_core::usage::UsageShare| ShareRow {
            value: share.value.clone().unwrap_or_else(|| "unknown".to_owned()),
            count: grouped(share.sum.count),
            last: Moment::new(share.sum.last_at, now),
        };
        Self { by: by.as_str(), rows: shares.iter().map(row).collect(), other: grouped(*other) }
    }
}

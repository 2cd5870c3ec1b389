//! The overview: what needs attention.

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use chrono::TimeDelta;
use license_core::access::Scope;
use license_core::event::EventType;
use license_core::license::Status;
use license_core::store::{EventFilter, LicenseFilter, PageRequest};

use super::history::Happened;
use super::{license_count, unusual};
use crate::chart::Chart;
use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::filters::Filters;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

const EVENTS: u32 = 10;
const CHART_DAYS: i64 = 30;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    page: Page,
    /// Empty if the visitor may not read licenses.
    numbers: Vec<Number>,
    /// Whether there is no license at all.
    is_empty: bool,
    chart: Option<Chart>,
    failing_webhooks: Vec<String>,
    unusual: Vec<Happened>,
    latest: Vec<Happened>,
}

struct Number {
    label: &'static str,
    value: String,
    url: String,
}

pub(crate) async fn overview(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
) -> Result<impl IntoResponse, Failure> {
    let mut shown = Overview {
        page: Page::new(&visit, "Overview", Section::Overview),
        numbers: Vec::new(),
        is_empty: false,
        chart: None,
        failing_webhooks: Vec::new(),
        unusual: Vec::new(),
        latest: Vec::new(),
    };
    if visitor.may(Scope::LicensesRead) {
        let now = visit.now;
        for (label, filters) in [
            ("Active", Filters::of_status(Status::Active)),
            ("End within 7 days", Filters::expiring(7, now)),
            ("End within 30 days", Filters::expiring(30, now)),
            ("Suspended", Filters::of_status(Status::Suspended)),
            ("At their limit", Filters::full()),
        ] {
            let value = license_count::of(&console, &filters).await?;
            let url = visit.url(&format!("/licenses?{}", filters.query()));
            shown.numbers.push(Number { label, value, url });
        }
        shown.numbers.push(Number {
            label: "Unusual usage in 30 days",
            value: unusual::licenses(&console, now).await?,
            url: visit.url("/licenses/unusual"),
        });
        let any = PageRequest { after: None, limit: 1 };
        shown.is_empty =
            console.services.licenses.list(&LicenseFilter::default(), &any).await?.items.is_empty();
        let week = EventFilter {
            event_type: Some(EventType::LicenseUnusualUsage),
            from: Some(now - TimeDelta::days(7)),
            ..EventFilter::default()
        };
        shown.unusual = events(&console, &week).await?;
        shown.latest = events(&console, &EventFilter::default()).await?;
    }
    if visitor.may(Scope::UsageRead) {
        let query = Chart::query(CHART_DAYS, visit.now);
        let overview = console.services.usage.overview(&query).await?;
        shown.chart = Some(Chart::new(&overview.usage.series));
    }
    if visitor.may(Scope::WebhooksRead) {
        let endpoints = console.services.webhooks.list().await?;
        let failing =
            endpoints.iter().filter(|endpoint| endpoint.failing.is_some() || !endpoint.is_enabled());
        shown.failing_webhooks = failing.map(|endpoint| endpoint.settings.url.clone()).collect();
    }
    render(&shown)
}

async fn events(console: &Shared, filter: &EventFilter) -> Result<Vec<Happened>, Failure> {
    let page = PageRequest { after: None, limit: EVENTS };
    let found = console.services.events.list(filter, &page).await?;
    let now = console.now();
    Ok(found.items.iter().map(|sequenced| Happened::new(&sequenced.event, now)).collect())
}

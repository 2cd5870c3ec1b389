//! Licenses with unusual usage.

use std::collections::HashSet;

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use chrono::{DateTime, TimeDelta, Utc};
use license_core::error::ServiceError;
use license_core::event::EventType;
use license_core::license::LicenseId;
use license_core::store::{EventFilter, PageRequest, SequencedEvent};

use super::history::Happened;
use super::license_row::LicenseRow;
use super::preset::{Preset, presets};
use crate::bulk_action::CHOICES;
use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::form::Query;
use crate::numbers::grouped;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

/// Days for which unusual usage is shown.
const DAYS: i64 = 30;
const EVENTS: u32 = 50;
/// Events from which the number on the overview is counted.
const COUNTED: u32 = 100;

#[derive(Template)]
#[template(path = "unusual.html")]
struct Unusual {
    page: Page,
    presets: Vec<Preset>,
    actions: [(&'static str, &'static str); CHOICES.len()],
    /// Each license with its latest event.
    rows: Vec<(LicenseRow, Happened)>,
    /// Whether this is the first page.
    is_first: bool,
    next_page: Option<String>,
}

pub(crate) async fn list(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let filter = filter(visit.now);
    let after = query.parsed("after", "Page", str::parse::<u64>)?;
    let found = console.services.events.list(&filter, &PageRequest { after, limit: EVENTS }).await?;
    let (mut rows, mut seen) = (Vec::new(), HashSet::new());
    for sequenced in &found.items {
        let Some(id) = sequenced.event.license_id().filter(|id| seen.insert((*id).clone())) else { continue };
        if after.is_some() && !is_latest(&console, &filter, id, sequenced).await? {
            continue;
        }
        match console.services.licenses.get(id).await {
            Ok(license) => rows.push((
                LicenseRow::new(&license.detail, visit.now),
                Happened::new(&sequenced.event, visit.now),
            )),
            Err(ServiceError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    render(&Unusual {
        page: Page::new(&visit, "Licenses with unusual usage", Section::Licenses),
        presets: presets(None, &visit),
        actions: CHOICES,
        rows,
        is_first: after.is_none(),
        next_page: found.next.map(|next| visit.url(&format!("/licenses/unusual?after={next}"))),
    })
}

/// Returns the number of licenses with unusual usage. Many are counted in part, such as "80+".
pub(super) async fn licenses(console: &Shared, now: DateTime<Utc>) -> Result<String, Failure> {
    let page = PageRequest { after: None, limit: COUNTED };
    let found = console.services.events.list(&filter(now), &page).await?;
    let licenses: HashSet<_> = found.items.iter().filter_map(|one| one.event.license_id()).collect();
    let more = if found.next.is_some() { "+" } else { "" };
    Ok(grouped(licenses.len() as u64) + more)
}

fn filter(now: DateTime<Utc>) -> EventFilter {
    EventFilter {
        event_type: Some(EventType::LicenseUnusualUsage),
        from: Some(now - TimeDelta::days(DAYS)),
        ..EventFilter::default()
    }
}

/// Returns whether an event is the latest one of its license: if not, an earlier page has the license.
async fn is_latest(
    console: &Shared,
    filter: &EventFilter,
    id: &LicenseId,
    sequenced: &SequencedEvent,
) -> Result<bool, Failure> {
    let of_license = EventFilter { license_id: Some(id.clone()), ..filter.clone() };
    let page = PageRequest { after: None, limit: 1 };
    let latest = console.services.events.list(&of_license, &page).await?.items;
    Ok(latest.first().is_none_or(|latest| latest.position == sequenced.position))
}

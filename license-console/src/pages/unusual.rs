//! Licenses with unusual usage.

use std::collections::HashSet;

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use chrono::TimeDelta;
use license_core::error::ServiceError;
use license_core::event::EventType;
use license_core::store::{EventFilter, PageRequest};

use super::history::Happened;
use super::license_row::LicenseRow;
use super::preset::{Preset, presets};
use crate::bulk_action::CHOICES;
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Query;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

/// Days for which unusual usage is shown.
const DAYS: i64 = 30;
const EVENTS: u32 = 50;

#[derive(Template)]
#[template(path = "unusual.html")]
struct Unusual {
    page: Page,
    presets: Vec<Preset>,
    actions: [(&'static str, &'static str); CHOICES.len()],
    /// Each license with its latest event.
    rows: Vec<(LicenseRow, Happened)>,
    next_page: Option<String>,
}

pub(crate) async fn list(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let filter = EventFilter {
        event_type: Some(EventType::LicenseUnusualUsage),
        from: Some(visit.now - TimeDelta::days(DAYS)),
        ..EventFilter::default()
    };
    let after = query.parsed("after", "Page", str::parse::<u64>)?;
    let found = console.services.events.list(&filter, &PageRequest { after, limit: EVENTS }).await?;
    let (mut rows, mut seen) = (Vec::new(), HashSet::new());
    for sequenced in &found.items {
        let Some(id) = sequenced.event.license_id().filter(|id| seen.insert((*id).clone())) else { continue };
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
        next_page: found.next.map(|next| visit.url(&format!("/licenses/unusual?after={next}"))),
    })
}

//! The list of jobs.

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use license_core::bulk::BulkJobId;
use license_core::store::PageRequest;

use super::job_row::JobRow;
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Query;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

const JOBS: u32 = 25;

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    page: Page,
    rows: Vec<JobRow>,
    next_page: Option<String>,
}

pub(crate) async fn list(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let after = query.parsed("after", "Page", BulkJobId::parse)?;
    let found = console.services.bulk.list(&PageRequest { after, limit: JOBS }).await?;
    render(&JobsPage {
        page: Page::new(&visit, "Jobs", Section::Jobs),
        rows: found.items.iter().map(|job| JobRow::new(job, visit.now)).collect(),
        next_page: found.next.map(|next| visit.url(&format!("/jobs?after={next}"))),
    })
}

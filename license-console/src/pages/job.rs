//! One job: its progress, and the licenses that did not get the action.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use license_core::bulk::BulkJobId;
use license_core::license::LicenseId;
use license_core::store::PageRequest;

use super::job_row::{JobRow, refusal};
use super::see_other;
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Query;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

const REFUSED: u32 = 50;

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage {
    page: Page,
    job: JobRow,
    /// What happened, after the end of the job.
    summary: Option<String>,
    refused: Vec<(String, &'static str)>,
    is_first_page: bool,
    next_page: Option<String>,
    this_page: String,
    /// Whether the page asks for the progress. The refused licenses stay until the job has ended.
    is_poll: bool,
}

fn read(id: &str) -> Result<BulkJobId, Failure> {
    BulkJobId::parse(id).map_err(|_| Failure::page_not_found())
}

pub(crate) async fn show(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(id): Path<String>,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let id = read(&id)?;
    let after = query.parsed("after", "Page", LicenseId::parse)?;
    let is_first_page = after.is_none();
    let page_url = |after: Option<&LicenseId>| {
        let after = after.map(|after| format!("?after={after}")).unwrap_or_default();
        visit.url(&format!("/jobs/{id}{after}"))
    };
    let this_page = page_url(after.as_ref());
    let job = JobRow::new(&console.services.bulk.get(&id).await?, visit.now);
    let refused = console.services.bulk.refused(&id, &PageRequest { after, limit: REFUSED }).await?;
    render(&JobPage {
        page: Page::new(&visit, format!("{}: {}", job.label, job.total), Section::Jobs),
        summary: job.summary(),
        refused: refused.items.iter().map(|one| (one.id.to_string(), refusal(one.outcome))).collect(),
        is_first_page,
        next_page: refused.next.as_ref().map(|next| page_url(Some(next))),
        this_page,
        is_poll: visit.by_htmx,
        job,
    })
}

pub(crate) async fn cancel(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let job = console.services.bulk.cancel(&read(&id)?, &visitor.actor).await?;
    Ok(see_other(visit.url(&format!("/jobs/{}", job.id))))
}

//! The list of licenses.

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use license_core::license::Status;
use license_core::service::SearchRequest;
use license_core::store::{SearchFilter, SearchSort};

use super::choice::{Choice, choices};
use super::license_row::LicenseRow;
use super::preset::{Preset, presets};
use super::sort_header::SortHeader;
use crate::bulk_action::CHOICES;
use crate::console::Console;
use crate::failure::Failure;
use crate::filters::Filters;
use crate::form::Query;
use crate::numbers::grouped;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

#[derive(Template)]
#[template(path = "licenses.html")]
struct Licenses {
    page: Page,
    presets: Vec<Preset>,
    statuses: Vec<Choice>,
    plans: Vec<Choice>,
    sorts: Vec<Choice>,
    expires_from: String,
    expires_before: String,
    /// Filters that the form does not show.
    kept: Vec<(&'static str, String)>,
    rows: Vec<LicenseRow>,
    total: Option<String>,
    is_filtered: bool,
    is_first_page: bool,
    first_page: String,
    next_page: Option<String>,
    issued: SortHeader,
    ends: SortHeader,
    actions: [(&'static str, &'static str); CHOICES.len()],
    /// The filters, for an action on all that match; empty if there is none.
    matching: Vec<(&'static str, String)>,
    csv: String,
}

pub(crate) async fn list(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let filters = Filters::read(&query)?;
    let cursor = query.text("cursor").map(str::to_owned);
    let is_first_page = cursor.is_none();
    let request = SearchRequest { cursor, ..filters.request() };
    let found = console.services.search.search(&request).await?;
    let date = |name| query.text(name).unwrap_or_default().to_owned();
    let path = format!("/licenses?{}", filters.query());
    let next = found.next_cursor.as_ref().map(|cursor| visit.url(&format!("{path}&cursor={cursor}")));
    let plans = console.services.licenses.plans();
    let names = plans.entries().map(|entry| (entry.name.clone(), entry.name.clone()));
    let statuses = Status::ALL.map(|status| (status.as_str().to_owned(), status.as_str().to_owned()));
    let sorts = [
        (SearchSort::NewestFirst, "Newest first"),
        (SearchSort::OldestFirst, "Oldest first"),
        (SearchSort::EarliestEnd, "Ends first"),
        (SearchSort::LatestEnd, "Ends last"),
    ];
    let hidden = ["unseen_since", "never_activated", "at_limit"];
    let kept = hidden.into_iter().filter_map(|name| Some((name, query.text(name)?.to_owned())));
    render(&Licenses {
        page: Page::new(&visit, "Licenses", Section::Licenses),
        presets: presets(Some(&filters), &visit),
        statuses: choices("Any status", statuses, filters.status.map(Status::as_str)),
        plans: choices("Any plan", names, filters.plan.as_deref()),
        sorts: sorts
            .map(|(sort, label)| Choice {
                value: sort.as_str().to_owned(),
                label: label.to_owned(),
                is_chosen: sort == request.sort,
            })
            .into(),
        expires_from: date("expires_from"),
        expires_before: date("expires_before"),
        kept: kept.collect(),
        rows: found.licenses.iter().map(|license| LicenseRow::new(&license.detail, visit.now)).collect(),
        total: found.total.map(|total| {
            let licenses = if total.count == 1 && total.exact { "license" } else { "licenses" };
            format!("{}{} {licenses}", if total.exact { "" } else { "more than " }, grouped(total.count))
        }),
        is_filtered: filters != Filters::default(),
        is_first_page,
        first_page: visit.url(&path),
        next_page: next,
        issued: SortHeader::issued(&filters, &visit),
        ends: SortHeader::ends(&filters, &visit),
        actions: CHOICES,
        matching: if request.filter == SearchFilter::default() { Vec::new() } else { filters.fields() },
        csv: visit.url(&format!("/licenses.csv?{}", filters.query())),
    })
}

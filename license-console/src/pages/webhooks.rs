//! Webhook endpoints: the list.

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use license_core::webhook::{Endpoint, EndpointState, EventSelection};

use super::notice;
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Query;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksPage {
    page: Page,
    rows: Vec<EndpointRow>,
}

/// An endpoint as a row.
struct EndpointRow {
    id: String,
    url: String,
    description: String,
    events: String,
    state: &'static str,
}

/// What the page of a new secret says.
pub(super) const ABOUT_SECRET: &str =
    "This secret signs the webhooks, so that the receiver can check them. Copy it: it is shown only here.";

pub(crate) async fn list(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let endpoints = console.services.webhooks.list().await?;
    let done = query.text("done").and_then(notice::of_webhook);
    render(&WebhooksPage {
        page: Page::new(&visit, "Webhooks", Section::Webhooks).with_notice(done),
        rows: endpoints.iter().map(EndpointRow::new).collect(),
    })
}

/// Returns the events of an endpoint in words.
pub(super) fn selection(events: &EventSelection) -> String {
    match events {
        EventSelection::All => "all events".to_owned(),
        EventSelection::Types(_) => events.as_strs().join(", "),
    }
}

/// Returns the state of an endpoint in a word.
pub(super) fn state(endpoint: &Endpoint) -> &'static str {
    match endpoint.state {
        EndpointState::Disabled { .. } => "disabled",
        EndpointState::Enabled if endpoint.failing.is_some() => "failing",
        EndpointState::Enabled => "active",
    }
}

impl EndpointRow {
    fn new(endpoint: &Endpoint) -> Self {
        Self {
            id: endpoint.id.to_string(),
            url: endpoint.settings.url.clone(),
            description: endpoint.settings.description.clone().unwrap_or_default(),
            events: selection(&endpoint.settings.events),
            state: state(endpoint),
        }
    }
}

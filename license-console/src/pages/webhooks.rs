//! Webhook endpoints: the list, and new ones.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use license_core::event::EventType;
use license_core::limits;
use license_core::webhook::{Endpoint, EndpointSettings, EndpointState, EventSelection};

use super::notice;
use super::secret::SecretPage;
use crate::console::Console;
use crate::failure::Failure;
use crate::form::{Form, Query};
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

#[derive(Template)]
#[template(path = "webhook_new.html")]
struct NewWebhookPage {
    page: Page,
    types: Vec<&'static str>,
    longest_url: usize,
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

pub(crate) async fn ask(SignedIn(visit, _): SignedIn) -> Result<impl IntoResponse, Failure> {
    render(&NewWebhookPage {
        page: Page::new(&visit, "Add a webhook", Section::Webhooks),
        types: selectable().map(EventType::as_str).collect(),
        longest_url: limits::ENDPOINT_URL_BYTES,
    })
}

/// Creates an endpoint, and shows its secret once.
pub(crate) async fn create(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    form: Form,
) -> Result<Response, Failure> {
    let webhooks = console.services.webhooks.by(&visitor.actor);
    let created = webhooks.create(settings(&form)?, None).await?;
    let html = render(&SecretPage {
        page: Page::new(&visit, "Webhook added", Section::Webhooks),
        name: &created.endpoint.settings.url,
        about: ABOUT_SECRET,
        secret: &created.secret.reveal(),
        back: visit.url(&format!("/webhooks/{}", created.endpoint.id)),
    })?;
    Ok(html.into_response())
}

fn settings(form: &Form) -> Result<EndpointSettings, Failure> {
    let url = form.text("url").unwrap_or_default();
    if !(url.starts_with("https://") || url.starts_with("http://")) {
        return Err(Failure::field("URL", "must begin with https://"));
    }
    let types: BTreeSet<_> = selectable().filter(|one| form.is_checked(one.as_str())).collect();
    let events = match form.text("events") {
        Some("all") => EventSelection::All,
        Some("some") if !types.is_empty() => EventSelection::Types(types),
        _ => return Err(Failure::field("Events", "choose all, or at least one")),
    };
    Ok(EndpointSettings {
        url: url.to_owned(),
        events,
        description: form.text("description").map(str::to_owned),
        skip_job_events: form.is_checked("skip_job_events"),
    })
}

/// Returns the types that an endpoint can choose. It always gets its own tests.
fn selectable() -> impl Iterator<Item = EventType> {
    EventType::ALL.into_iter().filter(|one| *one != EventType::EndpointTest)
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

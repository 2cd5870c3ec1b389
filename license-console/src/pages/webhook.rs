//! One webhook endpoint, its deliveries, and the actions on it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::store::{DeliveryDetail, PageRequest};
use license_core::webhook::{
    DeliveryStatus, DisabledReason, Endpoint, EndpointCommand, EndpointId, EndpointState,
};

use super::choice::{Choice, choices};
use super::confirm::{self, Confirm};
use super::secret::SecretPage;
use super::webhooks::{ABOUT_SECRET, selection, state};
use super::{notice, once, see_other};
use crate::console::Console;
use crate::failure::Failure;
use crate::form::{Form, Query};
use crate::moment::Moment;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

const DELIVERIES: u32 = 50;

#[derive(Template)]
#[template(path = "webhook.html")]
struct WebhookPage {
    page: Page,
    facts: Facts,
    statuses: Vec<Choice>,
    rows: Vec<DeliveryRow>,
    is_filtered: bool,
    next_page: Option<String>,
    /// For the form that sends a test.
    once: String,
}

struct Facts {
    id: String,
    url: String,
    description: String,
    events: String,
    skips_jobs: bool,
    state: &'static str,
    is_enabled: bool,
    /// Why it is disabled.
    disabled: Option<(&'static str, Moment)>,
    failing_since: Option<Moment>,
    last_success: Option<Moment>,
    previous_secret_until: Option<Moment>,
    created: Moment,
}

/// A delivery as a row.
struct DeliveryRow {
    event_id: String,
    event_type: &'static str,
    status: &'static str,
    tries: u32,
    created: Moment,
    due: Option<Moment>,
}

/// An action that destroys something, with the words of its page.
struct Destruction {
    word: &'static str,
    title: &'static str,
    effect: &'static str,
}

const ROTATE: Destruction = Destruction {
    word: "replace",
    title: "Replace the secret",
    effect: "The webhook gets a new secret. For 24 hours, webhooks are signed with the old secret too. After that, \
             receivers that know only the old secret reject them.",
};

const DELETE: Destruction = Destruction {
    word: "delete",
    title: "Delete the webhook",
    effect: "Nothing is sent to it from now on, and its deliveries are deleted.",
};

/// Parses the id in a URL.
pub(super) fn parse(id: &str) -> Result<EndpointId, Failure> {
    EndpointId::parse(id).map_err(|_| Failure::page_not_found())
}

pub(crate) async fn show(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(id): Path<String>,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let endpoint = console.services.webhooks.get(&parse(&id)?).await?;
    let status = query.parsed("status", "Status", |text| {
        DeliveryStatus::parse(text).ok_or("must be pending, succeeded or failed")
    })?;
    let after = query.parsed("after", "Page", str::parse::<u64>)?;
    let page = PageRequest { after, limit: DELIVERIES };
    let found = console.services.webhooks.deliveries(&endpoint.id, status, &page).await?;
    let names = DeliveryStatus::ALL.map(|status| (status.as_str().to_owned(), status.as_str().to_owned()));
    let of_status = status.map(|status| format!("status={}&", status.as_str())).unwrap_or_default();
    let done = query.text("done").and_then(notice::of_webhook);
    render(&WebhookPage {
        page: Page::new(&visit, "Webhook", Section::Webhooks).with_notice(done),
        facts: Facts::new(&endpoint, visit.now),
        statuses: choices("Any status", names, status.map(DeliveryStatus::as_str)),
        rows: found.items.iter().map(|detail| DeliveryRow::new(detail, visit.now)).collect(),
        is_filtered: status.is_some(),
        next_page: found
            .next
            .map(|next| visit.url(&format!("/webhooks/{}?{of_status}after={next}", endpoint.id))),
        once: once::new()?,
    })
}

pub(crate) async fn enable(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let id = parse(&id)?;
    console.services.webhooks.by(&visitor.actor).execute(&id, &EndpointCommand::Enable).await?;
    Ok(see_other(visit.url(&format!("/webhooks/{id}?done=enable"))))
}

pub(crate) async fn disable(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let id = parse(&id)?;
    console.services.webhooks.by(&visitor.actor).execute(&id, &EndpointCommand::Disable).await?;
    Ok(see_other(visit.url(&format!("/webhooks/{id}?done=disable"))))
}

/// Sends a test event. A form that is sent twice sends one.
pub(crate) async fn test(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let id = parse(&id)?;
    let sent = console.services.webhooks.by(&visitor.actor).test(&id, Some(&once::key(&form)?)).await?;
    Ok(see_other(visit.url(&format!("/webhooks/{id}/deliveries/{}?done=test", sent.id))))
}

pub(crate) async fn ask_to_rotate(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let endpoint = console.services.webhooks.get(&parse(&id)?).await?;
    confirm(&visit, &endpoint, &ROTATE, "rotate-secret")
}

/// Gives the endpoint a new secret, and shows it once.
pub(crate) async fn rotate(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    confirm::check(&form, ROTATE.word)?;
    let rotated = console.services.webhooks.by(&visitor.actor).rotate_secret(&parse(&id)?).await?;
    let html = render(&SecretPage {
        page: Page::new(&visit, "New secret", Section::Webhooks),
        name: &rotated.endpoint.settings.url,
        about: ABOUT_SECRET,
        secret: &rotated.secret.reveal(),
        back: visit.url(&format!("/webhooks/{}", rotated.endpoint.id)),
    })?;
    Ok(html.into_response())
}

pub(crate) async fn ask_to_delete(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let endpoint = console.services.webhooks.get(&parse(&id)?).await?;
    confirm(&visit, &endpoint, &DELETE, "delete")
}

pub(crate) async fn delete(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    confirm::check(&form, DELETE.word)?;
    console.services.webhooks.by(&visitor.actor).delete(&parse(&id)?).await?;
    Ok(see_other(visit.url("/webhooks?done=delete")))
}

fn confirm(
    visit: &crate::visit::Visit,
    endpoint: &Endpoint,
    Destruction { word, title, effect }: &Destruction,
    path: &str,
) -> Result<impl IntoResponse + use<>, Failure> {
    let back = visit.url(&format!("/webhooks/{}", endpoint.id));
    Confirm {
        page: Page::new(visit, *title, Section::Webhooks),
        name: &endpoint.settings.url,
        effect,
        word,
        action: format!("{back}/{path}"),
        back,
    }
    .render()
}

impl Facts {
    fn new(endpoint: &Endpoint, now: DateTime<Utc>) -> Self {
        let disabled = match endpoint.state {
            EndpointState::Enabled => None,
            EndpointState::Disabled { since, reason } => Some((why(reason), Moment::new(since, now))),
        };
        Self {
            id: endpoint.id.to_string(),
            url: endpoint.settings.url.clone(),
            description: endpoint.settings.description.clone().unwrap_or_default(),
            events: selection(&endpoint.settings.events),
            skips_jobs: endpoint.settings.skip_job_events,
            state: state(endpoint),
            is_enabled: endpoint.is_enabled(),
            disabled,
            failing_since: endpoint.failing.map(|failing| Moment::new(failing.since, now)),
            last_success: endpoint.last_success_at.map(|at| Moment::new(at, now)),
            previous_secret_until: endpoint
                .previous_secret
                .as_ref()
                .filter(|previous| previous.until > now)
                .map(|previous| Moment::new(previous.until, now)),
            created: Moment::new(endpoint.created_at, now),
        }
    }
}

fn why(reason: DisabledReason) -> &'static str {
    match reason {
        DisabledReason::Admin => "A person disabled it.",
        DisabledReason::Gone => "The receiver answered 410 Gone.",
        DisabledReason::Failing => "Its deliveries failed for five days.",
    }
}

impl DeliveryRow {
    fn new(DeliveryDetail { delivery, event_type, .. }: &DeliveryDetail, now: DateTime<Utc>) -> Self {
        Self {
            event_id: delivery.event_id.to_string(),
            event_type: event_type.as_str(),
            status: delivery.status.as_str(),
            tries: delivery.tries,
            created: Moment::new(delivery.created_at, now),
            due: delivery.due_at.map(|at| Moment::new(at, now)),
        }
    }
}

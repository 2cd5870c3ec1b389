//! The form of a webhook: a new one, and the settings of an existing one.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use license_core::error::ServiceError;
use license_core::event::EventType;
use license_core::limits;
use license_core::webhook::{EndpointCommand, EndpointSettings, EventSelection};

use super::secret::SecretPage;
use super::see_other;
use super::webhook::parse;
use super::webhooks::ABOUT_SECRET;
use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::form::Form;
use crate::page::{Page, Section, render};
use crate::visit::{SignedIn, Visit};

#[derive(Template)]
#[template(path = "webhook_form.html")]
struct WebhookFormPage {
    page: Page,
    /// The webhook that the form changes; `None` adds one.
    id: Option<String>,
    error: Option<String>,
    /// The settings before the change.
    shown: Option<String>,
    url: String,
    description: String,
    all_events: bool,
    types: Vec<TypeBox>,
    skip_job_events: bool,
    longest_url: usize,
    longest_description: usize,
}

/// A type of events as a box.
struct TypeBox {
    name: &'static str,
    is_checked: bool,
}

pub(crate) async fn ask(SignedIn(visit, _): SignedIn) -> Result<impl IntoResponse, Failure> {
    page(&visit, None, &Form::default().with("events", "all"), None)
}

/// Creates an endpoint, and shows its secret once.
pub(crate) async fn create(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    form: Form,
) -> Result<Response, Failure> {
    let webhooks = console.services.webhooks.by(&visitor.actor);
    let created = match settings(&console, &form, None).await {
        Ok(settings) => webhooks.create(settings, None).await,
        Err(why) => return wrong(&visit, None, &form, why),
    };
    let created = match created {
        Err(ServiceError::EndpointSettings(error)) => return wrong(&visit, None, &form, error.to_string()),
        created => created?,
    };
    let html = render(&SecretPage {
        page: Page::new(&visit, "Webhook added", Section::Webhooks),
        name: &created.endpoint.settings.url,
        about: ABOUT_SECRET,
        secret: &created.secret.reveal(),
        back: visit.url(&format!("/webhooks/{}", created.endpoint.id)),
    })?;
    Ok(html.into_response())
}

pub(crate) async fn ask_to_change(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let endpoint = console.services.webhooks.get(&parse(&id)?).await?;
    let form = shown(&endpoint.settings);
    let query = form.query();
    page(&visit, Some(endpoint.id.as_str()), &form.with("shown", &query), None)
}

/// Changes the settings. A form of older settings changes nothing.
pub(crate) async fn change(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let endpoint = console.services.webhooks.get(&parse(&id)?).await?;
    let id = endpoint.id.as_str();
    let before = form.text("shown").ok_or_else(Failure::hidden_field)?;
    if before != shown(&endpoint.settings).query() {
        return Err(Failure::changed_meanwhile("webhook"));
    }
    let settings = match settings(&console, &form, Some(&endpoint.settings)).await {
        Ok(settings) => settings,
        Err(why) => return wrong(&visit, Some(id), &form, why),
    };
    let webhooks = console.services.webhooks.by(&visitor.actor);
    match webhooks.execute(&endpoint.id, &EndpointCommand::Set(settings)).await {
        Err(ServiceError::EndpointSettings(error)) => wrong(&visit, Some(id), &form, error.to_string()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(see_other(visit.url(&format!("/webhooks/{id}?done=edit")))),
    }
}

/// Shows the form again, with what is wrong.
fn wrong(visit: &Visit, id: Option<&str>, form: &Form, why: String) -> Result<Response, Failure> {
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page(visit, id, form, Some(why))?).into_response())
}

fn page(
    visit: &Visit,
    id: Option<&str>,
    form: &Form,
    error: Option<String>,
) -> Result<impl IntoResponse + use<>, Failure> {
    let title = if id.is_some() { "Change the webhook" } else { "Add a webhook" };
    let of_type = |one: EventType| TypeBox { name: one.as_str(), is_checked: form.is_checked(one.as_str()) };
    render(&WebhookFormPage {
        page: Page::new(visit, title, Section::Webhooks),
        id: id.map(str::to_owned),
        error,
        shown: form.text("shown").map(str::to_owned),
        url: form.text("url").unwrap_or_default().to_owned(),
        description: form.text("description").unwrap_or_default().to_owned(),
        all_events: form.text("events") == Some("all"),
        types: selectable().map(of_type).collect(),
        skip_job_events: form.is_checked("skip_job_events"),
        longest_url: limits::ENDPOINT_URL_BYTES,
        longest_description: limits::ENDPOINT_DESCRIPTION_BYTES,
    })
}

/// Returns settings as their form sends them.
fn shown(settings: &EndpointSettings) -> Form {
    let form = Form::default().with("url", &settings.url);
    let form = form.with("description", settings.description.as_deref().unwrap_or_default());
    let form = if settings.skip_job_events { form.with("skip_job_events", "yes") } else { form };
    match &settings.events {
        EventSelection::All => form.with("events", "all"),
        EventSelection::Types(types) => {
            let checked = |form: Form, one: &EventType| form.with(one.as_str(), "yes");
            types.iter().fold(form.with("events", "some"), checked)
        }
    }
}

/// Reads the settings of a form. A URL that stays is not checked again: the rule may have changed since.
async fn settings(
    console: &Shared,
    form: &Form,
    before: Option<&EndpointSettings>,
) -> Result<EndpointSettings, String> {
    let url = form.text("url").unwrap_or_default();
    if before.is_none_or(|before| before.url != url) {
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            return Err("URL: it must begin with https://.".to_owned());
        }
        if let Some(rule) = &console.options.destinations {
            rule.check_url(url).await.map_err(|why| format!("URL: {why}."))?;
        }
    }
    let types: BTreeSet<_> = selectable().filter(|one| form.is_checked(one.as_str())).collect();
    let events = match form.text("events") {
        Some("all") => EventSelection::All,
        Some("some") if !types.is_empty() => EventSelection::Types(types),
        _ => return Err("Events: choose all, or at least one.".to_owned()),
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

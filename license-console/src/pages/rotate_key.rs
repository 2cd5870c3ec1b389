//! Gives a license a new key.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use license_core::license::{LicenseId, Reason};

use super::license::find;
use super::{license_row, once, see_other};
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Form;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

/// The word that confirms it.
const CONFIRMATION: &str = "replace";

#[derive(Template)]
#[template(path = "rotate_key.html")]
struct RotateKeyPage {
    page: Page,
    id: String,
    name: String,
    confirmation: &'static str,
    once: String,
}

pub(crate) async fn ask(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let license = find(&console, &id).await?.detail.license;
    let name = license_row::name(&license);
    render(&RotateKeyPage {
        page: Page::new(&visit, format!("Replace the key of {name}"), Section::Licenses),
        id: license.id.to_string(),
        name,
        confirmation: CONFIRMATION,
        once: once::new()?,
    })
}

pub(crate) async fn rotate(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let id = LicenseId::parse(&id).map_err(|_| Failure::page_not_found())?;
    if form.text("confirmation") != Some(CONFIRMATION) {
        return Err(Failure::field("Confirmation", format!("type the word {CONFIRMATION}")));
    }
    let reason = form.parsed("reason", "Reason", Reason::parse)?;
    // A form that is sent twice replaces the key once.
    let licenses = console.services.licenses.by(&visitor.actor).with_reason(reason);
    let licenses = licenses.with_idempotency_key(Some(once::key(&form)?));
    licenses.rotate_key(&id, form.is_checked("release"), None).await?;
    Ok(see_other(visit.url(&format!("/licenses/{id}?done=rotate-key"))))
}

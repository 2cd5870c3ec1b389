//! Asks for an action on a license, and does it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use license_core::license::Reason;

use super::license::find;
use super::{license_row, once, see_other};
use crate::action::Action;
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Form;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

#[derive(Template)]
#[template(path = "action.html")]
struct ActionPage {
    page: Page,
    action: Action,
    id: String,
    name: String,
    plan: String,
    once: String,
}

/// Shows what the action does, with the form that does it.
pub(crate) async fn ask(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path((id, action)): Path<(String, String)>,
) -> Result<impl IntoResponse, Failure> {
    let action = Action::parse(&action).ok_or_else(Failure::page_not_found)?;
    let license = find(&console, &id).await?.detail.license;
    let name = license_row::name(&license);
    render(&ActionPage {
        page: Page::new(&visit, format!("{} {name}", action.label()), Section::Licenses),
        action,
        id: license.id.to_string(),
        name,
        plan: license.plan.clone(),
        once: once::new()?,
    })
}

pub(crate) async fn act(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path((id, action)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Failure> {
    let action = Action::parse(&action).ok_or_else(Failure::page_not_found)?;
    let id = find(&console, &id).await?.detail.license.id.clone();
    if action.is_final() && form.text("confirmation") != Some(action.as_str()) {
        return Err(Failure::field("Confirmation", format!("type the word {}", action.as_str())));
    }
    let reason = form.parsed("reason", "Reason", Reason::parse)?.filter(|_| action.takes_reason());
    let licenses = console.services.licenses.by(&visitor.actor).with_reason(reason);
    // A renewal that is sent twice would renew twice.
    let licenses = match action {
        Action::Renew => licenses.with_idempotency_key(Some(once::key(&form)?)),
        Action::Suspend | Action::Reinstate | Action::Revoke => licenses,
    };
    licenses.execute(&id, &action.command(), None).await?;
    Ok(see_other(visit.url(&format!("/licenses/{id}?done={}", action.as_str()))))
}

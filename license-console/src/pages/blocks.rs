//! Blocked domains and devices of a license.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::domain::DomainName;
use license_core::license::{
    ActivationKind, ActivationTarget, Binding, Block, BlockId, Fingerprint, LicenseId, Reason,
};

use super::see_other;
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Form;
use crate::moment::Moment;
use crate::page::{Page, Section, render};
use crate::visit::{SignedIn, Visit};

#[derive(Template)]
#[template(path = "block.html")]
struct BlockPage {
    page: Page,
    id: String,
    is_device: bool,
    name: String,
}

/// A block as a row.
pub(super) struct BlockRow {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) reason: String,
    pub(super) since: Moment,
}

impl BlockRow {
    pub(super) fn new(Block { id, binding, reason, created_at }: &Block, now: DateTime<Utc>) -> Self {
        Self {
            id: id.as_str().to_owned(),
            kind: binding.kind().as_str(),
            name: binding.value().to_owned(),
            reason: reason.as_ref().map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
            since: Moment::new(*created_at, now),
        }
    }
}

pub(crate) async fn ask(
    SignedIn(visit, _): SignedIn,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    show(&visit, &id, &Form::default())
}

/// Shows the form with the domain or device of a slot, which is not in the URL.
pub(crate) async fn ask_for_slot(
    SignedIn(visit, _): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<impl IntoResponse, Failure> {
    show(&visit, &id, &form)
}

fn show(visit: &Visit, id: &str, form: &Form) -> Result<Html<String>, Failure> {
    let id = LicenseId::parse(id).map_err(|_| Failure::page_not_found())?;
    render(&BlockPage {
        page: Page::new(visit, "Block a domain or a device", Section::Licenses),
        id: id.to_string(),
        is_device: form.text("kind") == Some(ActivationKind::Device.as_str()),
        name: form.text("name").unwrap_or_default().to_owned(),
    })
}

pub(crate) async fn block(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let id = LicenseId::parse(&id).map_err(|_| Failure::page_not_found())?;
    let kind = form.text("kind").and_then(ActivationKind::parse);
    let binding = match kind.ok_or_else(|| Failure::field("Kind", "must be domain or device"))? {
        ActivationKind::Domain => {
            form.parsed("name", "Domain", DomainName::parse_registered)?.map(Binding::Domain)
        }
        ActivationKind::Device => form.parsed("name", "Device", Fingerprint::parse)?.map(Binding::Device),
    };
    let binding = binding.ok_or_else(|| Failure::field("Name", "type the domain or the device"))?;
    let reason = form.parsed("reason", "Reason", Reason::parse)?;
    let licenses = console.services.licenses.by(&visitor.actor).with_reason(reason);
    licenses.block(&id, ActivationTarget::Binding(binding)).await?;
    Ok(see_other(visit.url(&format!("/licenses/{id}?done=block"))))
}

pub(crate) async fn unblock(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path((id, block)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let id = LicenseId::parse(&id).map_err(|_| Failure::page_not_found())?;
    let block = BlockId::parse(&block).map_err(|_| Failure::page_not_found())?;
    console.services.licenses.by(&visitor.actor).unblock(&id, block).await?;
    Ok(see_other(visit.url(&format!("/licenses/{id}?done=unblock"))))
}

//! Signing keys: which one signs, and rotation and revocation.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::signing::{SigningKey, SigningKeyId, SigningKeyState};

use super::confirm::{self, Confirm};
use super::{notice, see_other};
use crate::console::Console;
use crate::failure::Failure;
use crate::form::{Form, Query};
use crate::moment::Moment;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

/// The word that confirms a rotation.
const ROTATION: &str = "rotate";
/// The word that confirms a revocation.
const REVOCATION: &str = "revoke";

#[derive(Template)]
#[template(path = "signing_keys.html")]
struct SigningKeysPage {
    page: Page,
    rows: Vec<KeyRow>,
}

/// A signing key as a row.
struct KeyRow {
    id: String,
    state: SigningKeyState,
    created: Moment,
    activated: Option<Moment>,
    replaced: Option<Moment>,
    /// The end of the last token that it signed.
    until: Option<Moment>,
    is_revoked: bool,
}

pub(crate) async fn list(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let keys = console.services.signing_keys.reload().await?;
    let done = query.text("done").and_then(notice::of_signing_key);
    render(&SigningKeysPage {
        page: Page::new(&visit, "Signing keys", Section::SigningKeys).with_notice(done),
        rows: keys.keys().iter().rev().map(|key| KeyRow::new(key, visit.now)).collect(),
    })
}

pub(crate) async fn ask_to_rotate(SignedIn(visit, _): SignedIn) -> Result<impl IntoResponse, Failure> {
    let back = visit.url("/signing-keys");
    Confirm {
        page: Page::new(&visit, "Rotate the signing keys", Section::SigningKeys),
        name: "Signing keys",
        effect: "The next key becomes active, and a new next key is created. What the present key signed stays valid.",
        word: ROTATION,
        action: format!("{back}/rotate"),
        back,
    }
    .render()
}

pub(crate) async fn rotate(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    form: Form,
) -> Result<Response, Failure> {
    confirm::check(&form, ROTATION)?;
    console.services.signing_keys.by(&visitor.actor).rotate(false).await?;
    Ok(see_other(visit.url("/signing-keys?done=rotate")))
}

pub(crate) async fn ask_to_revoke(
    SignedIn(visit, _): SignedIn,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let id = parse(&id)?;
    let back = visit.url("/signing-keys");
    Confirm {
        page: Page::new(&visit, "Revoke the signing key", Section::SigningKeys),
        name: id.as_str(),
        effect: "Software refuses everything that this key signed, as soon as it hears of it: licensed machines \
                 without a network need new license files. This cannot be undone.",
        word: REVOCATION,
        action: format!("{back}/{}/revoke", id.as_str()),
        back,
    }
    .render()
}

pub(crate) async fn revoke(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let id = parse(&id)?;
    confirm::check(&form, REVOCATION)?;
    console.services.signing_keys.by(&visitor.actor).revoke(&id).await?;
    Ok(see_other(visit.url("/signing-keys?done=revoke")))
}

fn parse(id: &str) -> Result<SigningKeyId, Failure> {
    SigningKeyId::parse(id).map_err(|_| Failure::page_not_found())
}

impl KeyRow {
    fn new(key: &SigningKey, now: DateTime<Utc>) -> Self {
        let moment = |at: Option<DateTime<Utc>>| at.map(|at| Moment::new(at, now));
        Self {
            id: key.id.as_str().to_owned(),
            state: key.state,
            created: Moment::new(key.created_at, now),
            activated: moment(key.activated_at),
            replaced: moment(key.replaced_at),
            until: moment(key.signed_until),
            is_revoked: key.state == SigningKeyState::Revoked,
        }
    }
}

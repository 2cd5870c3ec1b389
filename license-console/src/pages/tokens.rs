//! API tokens and sessions.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::access::{ApiToken, Scope, TokenId, TokenKind, TokenName, TokenState};
use license_core::service::TokenSpec;
use license_core::store::PageRequest;

use super::confirm::{self, Confirm};
use super::secret::SecretPage;
use super::{notice, see_other};
use crate::console::Console;
use crate::failure::Failure;
use crate::form::{Form, Query};
use crate::moment::Moment;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;
use crate::zone;

const TOKENS: u32 = 50;
/// The word that confirms a revocation.
const CONFIRMATION: &str = "revoke";

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    page: Page,
    rows: Vec<TokenRow>,
    next_page: Option<String>,
}

/// A token or a session as a row.
struct TokenRow {
    id: String,
    name: String,
    kind: &'static str,
    /// The token of a session or link.
    parent: String,
    scopes: String,
    state: &'static str,
    is_own: bool,
    is_token: bool,
    is_active: bool,
    created: Moment,
    last_used: Option<Moment>,
    expires: Option<Moment>,
}

#[derive(Template)]
#[template(path = "token_new.html")]
struct NewTokenPage {
    page: Page,
    /// The scopes that the visitor has.
    scopes: Vec<&'static str>,
}

pub(crate) async fn list(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let after = query.parsed("after", "Page", TokenId::parse)?;
    let found = console.services.access.tokens(&PageRequest { after, limit: TOKENS }).await?;
    let own = visitor.session.as_ref().map(|session| &session.id);
    let row = |token| TokenRow::new(token, own, visit.now);
    let done = query.text("done").and_then(notice::of_token);
    render(&TokensPage {
        page: Page::new(&visit, "Access", Section::Tokens).with_notice(done),
        rows: found.items.iter().map(row).collect(),
        next_page: found.next.map(|next| visit.url(&format!("/tokens?after={next}"))),
    })
}

pub(crate) async fn ask(SignedIn(visit, visitor): SignedIn) -> Result<impl IntoResponse, Failure> {
    let held = Scope::ALL.into_iter().filter(|scope| visitor.may(*scope));
    render(&NewTokenPage {
        page: Page::new(&visit, "Create a token", Section::Tokens),
        scopes: held.map(Scope::as_str).collect(),
    })
}

/// Creates a token, and shows its secret once.
pub(crate) async fn create(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    form: Form,
) -> Result<Response, Failure> {
    let name = form.parsed("name", "Name", TokenName::parse)?;
    let name = name.ok_or_else(|| Failure::field("Name", "type who or what uses the token"))?;
    let expires_at = form.parsed("expires", "Ends", zone::start_of_day)?;
    let scopes = Scope::ALL.into_iter().filter(|scope| form.is_checked(scope.as_str())).collect();
    let spec = TokenSpec { name, scopes, expires_at };
    let (token, secret) = console.services.access.create(&spec, visitor.scopes, &visitor.actor).await?;
    let html = render(&SecretPage {
        page: Page::new(&visit, "Token created", Section::Tokens),
        name: token.name.as_str(),
        about: "This is the token. Copy it: it is shown only here.",
        secret: secret.reveal(),
        back: visit.url("/tokens"),
    })?;
    Ok(html.into_response())
}

pub(crate) async fn ask_to_revoke(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let token = console.services.access.token(&parse(&id)?).await?;
    Confirm {
        page: Page::new(&visit, "Revoke", Section::Tokens),
        name: token.name.as_str(),
        effect: "Calls with the token are rejected from now on, and its sessions end. A revoked token cannot be \
                 brought back.",
        word: CONFIRMATION,
        action: visit.url(&format!("/tokens/{}/revoke", token.id)),
        back: visit.url("/tokens"),
    }
    .render()
}

pub(crate) async fn revoke(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    confirm::check(&form, CONFIRMATION)?;
    console.services.access.revoke(&parse(&id)?, visitor.scopes, &visitor.actor).await?;
    Ok(see_other(visit.url("/tokens?done=revoke")))
}

/// Ends a session or a link. An API token needs a typed word.
pub(crate) async fn end(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let id = parse(&id)?;
    if console.services.access.token(&id).await?.kind == TokenKind::Api {
        let advice = "Go back, and revoke it.";
        return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "This is a token, not a session", advice));
    }
    console.services.access.revoke(&id, visitor.scopes, &visitor.actor).await?;
    Ok(see_other(visit.url("/tokens?done=end")))
}

fn parse(id: &str) -> Result<TokenId, Failure> {
    TokenId::parse(id).map_err(|_| Failure::page_not_found())
}

impl TokenRow {
    fn new(token: &ApiToken, own: Option<&TokenId>, now: DateTime<Utc>) -> Self {
        let state = token.state(now);
        Self {
            id: token.id.to_string(),
            name: token.name.as_str().to_owned(),
            kind: match token.kind {
                TokenKind::Api => "token",
                TokenKind::Session(_) => "session",
                TokenKind::Link(_) => "link",
            },
            parent: token.kind.parent().map(ToString::to_string).unwrap_or_default(),
            scopes: token.scopes.to_string().replace(',', ", "),
            state: match state {
                TokenState::Active => "active",
                TokenState::Expired => "expired",
                TokenState::Revoked => "revoked",
            },
            is_own: own == Some(&token.id),
            is_token: token.kind == TokenKind::Api,
            is_active: state == TokenState::Active,
            created: Moment::new(token.created_at, now),
            last_used: token.last_used_at.map(|at| Moment::new(at, now)),
            expires: token.expires_at.map(|at| Moment::new(at, now)),
        }
    }
}

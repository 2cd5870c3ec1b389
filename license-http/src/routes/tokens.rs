//! `/api/v1/tokens`: API tokens.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::access::{ApiToken, Scope, Scopes, TokenId, TokenName};
use license_core::license::Expiry;
use license_core::service::TokenSpec;
use serde::Serialize;
use serde_json::Value;

use crate::auth::Authenticated;
use crate::extract::{Fields, NoIdempotencyKey, NoInput, NoQuery, Query, TokenPath, value};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, PageJson};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Token))]
pub(crate) struct TokenJson<'a> {
    /// Id of the token, which is not secret.
    id: &'a str,
    /// Name that says what the token is for.
    name: &'a str,
    /// Scopes of the token.
    scopes: Vec<&'static str>,
    /// Status now.
    status: &'static str,
    /// When it was created.
    created_at: DateTime<Utc>,
    /// When it was last used, to about a minute.
    last_used_at: Option<DateTime<Utc>>,
    /// When it expires; null if never.
    expires_at: Option<DateTime<Utc>>,
    /// When it was revoked; null if it was not.
    revoked_at: Option<DateTime<Utc>>,
    /// Whether it is an API token, the session of a person, or a link that opens one session.
    kind: &'static str,
    /// Id of the API token to which a session or link belongs; null for an API token.
    parent_id: Option<&'a str>,
    /// The secret token, only in the answer that creates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl<'a> TokenJson<'a> {
    fn new(token: &'a ApiToken, now: DateTime<Utc>) -> Self {
        let ApiToken { id, digest: _, name, scopes, created_at, last_used_at, expires_at, revoked_at, kind } =
            token;
        Self {
            id: id.as_str(),
            name: name.as_str(),
            scopes: scopes.iter().map(Scope::as_str).collect(),
            status: token.state(now).as_str(),
            created_at: *created_at,
            last_used_at: *last_used_at,
            expires_at: *expires_at,
            revoked_at: *revoked_at,
            kind: kind.as_str(),
            parent_id: kind.parent().map(TokenId::as_str),
            token: None,
        }
    }
}

pub(super) async fn create(
    State(state): State<HttpState>,
    Authenticated { caller, actor, .. }: Authenticated,
    _: NoIdempotencyKey,
    fields: Fields,
) -> Result<Response, Problem> {
    let spec = spec(fields)?;
    let (token, secret) = state.services.access.create(&spec, caller.scopes, &actor).await?;
    let json =
        TokenJson { token: Some(secret.reveal()), ..TokenJson::new(&token, state.services.access.now()) };
    Ok(wire::with_location(wire::json(StatusCode::CREATED, &json), format!("tokens/{}", token.id)))
}

pub(super) async fn list(State(state): State<HttpState>, mut query: Query) -> Result<Response, Problem> {
    let page = query.page(|text| TokenId::parse(text).ok())?;
    query.finish()?;
    let (now, found) = (state.services.access.now(), state.services.access.tokens(&page).await?);
    Ok(wire::json(StatusCode::OK, &PageJson::new(&found, |token| TokenJson::new(token, now))))
}

pub(super) async fn get(
    State(state): State<HttpState>,
    TokenPath(id): TokenPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let token = state.services.access.token(&id).await?;
    Ok(wire::json(StatusCode::OK, &TokenJson::new(&token, state.services.access.now())))
}

pub(super) async fn revoke(
    State(state): State<HttpState>,
    TokenPath(id): TokenPath,
    Authenticated { caller, actor, .. }: Authenticated,
    _: NoInput,
) -> Result<Response, Problem> {
    let token = state.services.access.revoke(&id, caller.scopes, &actor).await?;
    Ok(wire::json(StatusCode::OK, &TokenJson::new(&token, state.services.access.now())))
}

fn spec(fields: Fields) -> Result<TokenSpec, Problem> {
    let mut fields = fields.only(&["name", "scopes", "expires_at"])?;
    Ok(TokenSpec {
        name: fields.require("name", value::parsed(TokenName::parse))?,
        scopes: fields.require("scopes", scopes)?,
        expires_at: match fields.take("expires_at", value::expiry)? {
            Some(Expiry::At(time)) => Some(time),
            Some(Expiry::Never) | None => None,
        },
    })
}

fn scopes(field: &'static str, value: Value) -> Result<Scopes, Problem> {
    let wrong = || {
        let names = Scope::ALL.map(Scope::as_str).join(", ");
        Problem::invalid_field(field, format!("This must be a list with one or more of {names}."))
    };
    let Value::Array(items) = value else { return Err(wrong()) };
    let scopes: Option<Scopes> = items.iter().map(|item| item.as_str().and_then(Scope::parse)).collect();
    scopes.filter(|scopes| !scopes.is_empty()).ok_or_else(wrong)
}

//! `/api/v1/tokens`: who may call.

use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::access::{AccessError, TokenSpec};
use license_core::token::{ApiToken, Scope, Scopes, TokenId, TokenName, TokenSecret};
use serde::Serialize;
use serde_json::Value;

use crate::auth::LetIn;
use crate::extract::{By, Fields, NoContent, NoQuery, Query, TokenPath};
use crate::problem::{Problem, sentence};
use crate::state::Access;
use crate::wire::{self, PageJson, requests};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Token))]
pub(super) struct TokenJson<'a> {
    /// Of this token; the token itself is secret.
    id: &'a str,
    /// What it is for.
    name: &'a str,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// How it stands now.
    status: &'static str,
    /// When it was made.
    #[serde(serialize_with = "wire::time")]
    created_at: DateTime<Utc>,
    /// When it was last used, to the minute or so.
    #[serde(serialize_with = "wire::time_or_null")]
    last_used_at: Option<DateTime<Utc>>,
    /// When it ends; null: never.
    #[serde(serialize_with = "wire::time_or_null")]
    expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    #[serde(serialize_with = "wire::time_or_null")]
    revoked_at: Option<DateTime<Utc>>,
    /// The token itself, in the answer to its making only.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl<'a> TokenJson<'a> {
    fn new(token: &'a ApiToken, now: DateTime<Utc>) -> Self {
        let ApiToken { id, digest: _, name, scopes, created_at, last_used_at, expires_at, revoked_at } =
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
            token: None,
        }
    }
}

pub(super) async fn create(
    Access(access): Access,
    By(LetIn { caller, actor }): By,
    _: NoQuery,
    fields: Fields,
) -> Result<Response, Problem> {
    let spec = spec(fields)?;
    let (token, secret) = access.create(&spec, caller.scopes, &actor).await?;
    Ok(created(&token, &secret, access.now()))
}

/// The one answer that has the token itself, so nobody on the way may keep it.
fn created(token: &ApiToken, secret: &TokenSecret, now: DateTime<Utc>) -> Response {
    let json = TokenJson { token: Some(secret.reveal()), ..TokenJson::new(token, now) };
    let mut response = wire::json(StatusCode::CREATED, &json);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(location) = HeaderValue::try_from(format!("tokens/{}", token.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

pub(super) async fn list(Access(access): Access, mut query: Query) -> Result<Response, Problem> {
    let page = query.page(TokenId::parse)?;
    query.finish()?;
    let (now, found) = (access.now(), access.tokens(&page).await?);
    let page = PageJson {
        data: found.items.iter().map(|token| TokenJson::new(token, now)).collect(),
        next_cursor: found.next.as_ref().map(TokenId::as_str),
    };
    Ok(wire::json(StatusCode::OK, &page))
}

pub(super) async fn get(
    Access(access): Access,
    TokenPath(id): TokenPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let token = access.token(&id).await?;
    Ok(wire::json(StatusCode::OK, &TokenJson::new(&token, access.now())))
}

pub(super) async fn revoke(
    Access(access): Access,
    TokenPath(id): TokenPath,
    By(LetIn { caller, actor }): By,
    _: NoQuery,
    _: NoContent,
) -> Result<Response, Problem> {
    let token = access.revoke(&id, caller.scopes, &actor).await?;
    Ok(wire::json(StatusCode::OK, &TokenJson::new(&token, access.now())))
}

fn spec(fields: Fields) -> Result<TokenSpec, Problem> {
    let mut fields = fields.only(&["name", "scopes", "expires_at"])?;
    Ok(TokenSpec {
        name: fields.require("name", name)?,
        scopes: fields.require("scopes", scopes)?,
        expires_at: fields.take("expires_at", requests::expiry)?.and_then(requests::moment),
    })
}

fn name(field: &'static str, value: Value) -> Result<TokenName, Problem> {
    let text = requests::text(field, value)?;
    TokenName::parse(&text).map_err(|error| Problem::invalid_field(field, sentence(&error)))
}

fn scopes(field: &'static str, value: Value) -> Result<Scopes, Problem> {
    let wrong = || {
        let names = Scope::ALL.map(Scope::as_str).join(", ");
        Problem::invalid_field(field, format!("This must be a list of some of {names}."))
    };
    let Value::Array(items) = value else { return Err(wrong()) };
    let scopes: Option<Scopes> = items.iter().map(|item| item.as_str().and_then(Scope::parse)).collect();
    scopes.filter(|scopes| !scopes.is_empty()).ok_or_else(wrong)
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Lacks(scope) => Self::lacks(scope),
            AccessError::NoScopes => Self::invalid_field("scopes", sentence(&AccessError::NoScopes)),
            AccessError::Expired => Self::invalid_field("expires_at", sentence(&AccessError::Expired)),
            AccessError::NotFound => Self::token_not_found(),
            AccessError::Store(error) => error.into(),
            error => {
                tracing::error!(%error, "a request failed");
                Self::internal()
            }
        }
    }
}

//! Signing keys: the public ones for everyone, and all for the vendor.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::signing::{SigningKey, SigningKeySet};
use serde::Serialize;

use crate::auth::Authenticated;
use crate::extract::{NoInput, NoQuery, SigningKeyPath};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire;

/// For how long clients may keep the keys: a revoked key must disappear soon.
const CACHED: &str = "public, max-age=60";

/// A signing key, without its private part.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = SigningKey))]
pub(crate) struct SigningKeyJson<'a> {
    /// Id of the key: its thumbprint (RFC 7638), the `kid` of tokens.
    id: &'a str,
    /// Whether it signs, will sign, or signed.
    state: &'static str,
    /// When it was created.
    created_at: DateTime<Utc>,
    /// When it became active; null if it never was.
    activated_at: Option<DateTime<Utc>>,
    /// When it was replaced or revoked; null if it was not.
    replaced_at: Option<DateTime<Utc>>,
}

impl<'a> From<&'a SigningKey> for SigningKeyJson<'a> {
    fn from(key: &'a SigningKey) -> Self {
        let SigningKey {
            id,
            public: _,
            sealed: _,
            state,
            created_at,
            activated_at,
            replaced_at,
            signed_until: _,
        } = key;
        Self {
            id: id.as_str(),
            state: state.as_str(),
            created_at: *created_at,
            activated_at: *activated_at,
            replaced_at: *replaced_at,
        }
    }
}

/// All signing keys.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct SigningKeyList<'a> {
    /// The keys, oldest first.
    data: Vec<SigningKeyJson<'a>>,
}

/// Answers from memory, also while the store is down.
pub(super) async fn jwks(State(state): State<HttpState>) -> Response {
    let keys = state.services.signing.jwks();
    ([(CACHE_CONTROL, CACHED)], wire::json(StatusCode::OK, &keys)).into_response()
}

pub(super) async fn list(State(state): State<HttpState>, _: NoQuery) -> Result<Response, Problem> {
    Ok(answer(&*state.services.signing_keys.reload().await?))
}

/// Makes the next key active.
pub(super) async fn rotate(
    State(state): State<HttpState>,
    Authenticated { actor, .. }: Authenticated,
    _: NoInput,
) -> Result<Response, Problem> {
    Ok(answer(&*state.services.signing_keys.by(&actor).rotate(false).await?))
}

pub(super) async fn revoke(
    State(state): State<HttpState>,
    SigningKeyPath(id): SigningKeyPath,
    Authenticated { actor, .. }: Authenticated,
    _: NoInput,
) -> Result<Response, Problem> {
    Ok(answer(&*state.services.signing_keys.by(&actor).revoke(&id).await?))
}

fn answer(set: &SigningKeySet) -> Response {
    let mut keys: Vec<_> = set.keys().iter().collect();
    keys.sort_by_key(|key| (key.created_at, key.id.as_str()));
    let data = keys.into_iter().map(SigningKeyJson::from).collect();
    wire::json(StatusCode::OK, &SigningKeyList { data })
}

//! The public signing keys.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};

use crate::state::HttpState;
use crate::wire;

/// For how long clients may keep the keys: a revoked key must disappear soon.
const CACHED: &str = "public, max-age=60";

/// Answers from memory, also while the store is down.
pub(super) async fn jwks(State(state): State<HttpState>) -> Response {
    let keys = state.services.signing.jwks();
    ([(CACHE_CONTROL, CACHED)], wire::json(StatusCode::OK, &keys)).into_response()
}

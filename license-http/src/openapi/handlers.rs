//! Handlers of the contract.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::extract::OriginalUri;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::openapi::ServerBuilder;

use super::docs_page::page;
use super::document::{DOCS, OPENAPI_JSON, STYLE, openapi};
use crate::problem::Problem;
use crate::routes::open;
use crate::state::HttpState;
use crate::wire;

/// The page loads its style sheet and runs nothing.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// Rendered once, since the contract is constant.
static JSON: LazyLock<Option<Bytes>> = LazyLock::new(|| openapi().to_json().ok().map(Bytes::from));
static PAGE: LazyLock<Option<Bytes>> =
    LazyLock::new(|| serde_json::to_value(openapi()).ok().map(|contract| page(&contract).into()));

pub(crate) fn router() -> Router<HttpState> {
    open([(OPENAPI_JSON, get(contract)), (DOCS, get(docs)), (STYLE, get(style))])
}

/// Serves the contract. Below the prefix of a host app, the server URL is that prefix.
async fn contract(OriginalUri(uri): OriginalUri) -> Result<Response, Problem> {
    let prefix = uri.path().strip_suffix(OPENAPI_JSON).unwrap_or_default();
    if prefix.is_empty() {
        let text = JSON.clone().ok_or_else(Problem::internal)?;
        return Ok(([(CONTENT_TYPE, "application/json")], text).into_response());
    }
    let mut document = openapi();
    document.servers = Some(vec![ServerBuilder::new().url(prefix).build()]);
    Ok(wire::json(StatusCode::OK, &document))
}

async fn docs() -> Result<Response, Problem> {
    let page = PAGE.clone().ok_or_else(Problem::internal)?;
    Ok(asset("text/html; charset=utf-8", page))
}

async fn style() -> Response {
    asset("text/css; charset=utf-8", Bytes::from_static(include_bytes!("style.css")))
}

fn asset(content_type: &str, bytes: Bytes) -> Response {
    ([(CONTENT_TYPE, content_type), (CONTENT_SECURITY_POLICY, POLICY)], bytes).into_response()
}

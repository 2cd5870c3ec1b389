//! The contract: OpenAPI 3.1 at `/openapi.json`, and as a page at `/docs`.
#![expect(clippy::needless_pass_by_value, reason = "schemas are values, also where `json!` only reads them")]

mod docs_page;
mod document;
mod error_responses;
mod leases;
mod operation;
mod operations;
mod plan_terms;
mod request_bodies;
mod responses;
mod schema;

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::extract::OriginalUri;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::openapi::{OpenApi, Server};

use crate::routes::open;
use crate::state::HttpState;
use crate::wire;
use docs_page::page;
use document::{DOCS, OPENAPI_JSON, STYLE, document};

pub use document::openapi;
pub(crate) use document::routes;

/// The page loads its style sheet and runs nothing.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static CONTRACT: LazyLock<OpenApi> = LazyLock::new(openapi);
static PAGE: LazyLock<Bytes> = LazyLock::new(|| page(&document()).into());

pub(crate) fn router() -> Router<HttpState> {
    let docs = async || asset("text/html; charset=utf-8", PAGE.clone());
    let style =
        async || asset("text/css; charset=utf-8", Bytes::from_static(include_bytes!("openapi/style.css")));
    open([(OPENAPI_JSON, get(contract)), (DOCS, get(docs)), (STYLE, get(style))])
}

/// Serves the contract. Below the prefix of a host app, the server URL is that prefix.
async fn contract(OriginalUri(uri): OriginalUri) -> Response {
    let prefix = uri.path().strip_suffix(OPENAPI_JSON).unwrap_or_default();
    if prefix.is_empty() {
        return wire::json(StatusCode::OK, &*CONTRACT);
    }
    let mut contract = CONTRACT.clone();
    contract.servers = Some(vec![Server::new(prefix)]);
    wire::json(StatusCode::OK, &contract)
}

fn asset(content_type: &str, bytes: Bytes) -> Response {
    ([(CONTENT_TYPE, content_type), (CONTENT_SECURITY_POLICY, POLICY)], bytes).into_response()
}

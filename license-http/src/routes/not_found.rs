//! Answers paths without a route: `/` says where the API is, and a nearly right path is corrected.

use std::sync::LazyLock;

use axum::extract::{OriginalUri, Request};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::problem::{Code, Problem};
use crate::wire;

/// Prefix of most paths.
const API: &str = "/api/v1";

static PATHS: LazyLock<Vec<&str>> =
    LazyLock::new(|| crate::routes().iter().map(|route| route.path).collect());

/// Answer to `/`: where to go from there.
#[derive(Serialize)]
struct Index {
    version: &'static str,
    api: String,
    health: String,
    #[cfg(feature = "openapi")]
    docs: String,
    #[cfg(feature = "openapi")]
    openapi: String,
}

/// Answers `GET /`. Any other path is unknown.
pub(super) async fn index(OriginalUri(uri): OriginalUri, request: Request) -> Response {
    let prefix = prefix(uri.path(), request.uri().path());
    if request.uri().path() != "/" || ![Method::GET, Method::HEAD].contains(request.method()) {
        return unknown(prefix, request.uri().path()).into_response();
    }
    let index = Index {
        version: env!("CARGO_PKG_VERSION"),
        api: format!("{prefix}{API}"),
        health: format!("{prefix}/health"),
        #[cfg(feature = "openapi")]
        docs: format!("{prefix}/docs"),
        #[cfg(feature = "openapi")]
        openapi: format!("{prefix}/openapi.json"),
    };
    wire::json(StatusCode::OK, &index)
}

pub(super) async fn not_found(OriginalUri(uri): OriginalUri, request: Request) -> Problem {
    unknown(prefix(uri.path(), request.uri().path()), request.uri().path())
}

/// Returns the prefix at which a host app has mounted the router.
fn prefix<'a>(original: &'a str, path: &str) -> &'a str {
    original.strip_suffix(path).unwrap_or(original).trim_end_matches('/')
}

fn unknown(prefix: &str, path: &str) -> Problem {
    match nearest(path) {
        Some(route) => {
            let detail = format!("There is no resource at this path. The nearest path is {prefix}{route}.");
            Problem::new(Code::RouteNotFound, detail)
        }
        None => Code::RouteNotFound.into(),
    }
}

/// Returns the path of the route that differs only in slashes, in case or in the prefix of the API. It does not
/// repeat the path of the request, which may contain a key.
fn nearest(path: &str) -> Option<&'static str> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    let plain = parts.fold(String::new(), |path, part| path + "/" + &part.to_lowercase());
    let candidates = [format!("{API}{plain}"), plain];
    PATHS.iter().find(|route| candidates.iter().any(|path| matches(route, path))).copied()
}

fn matches(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(expected), Some(part)) if expected.starts_with('{') || expected == part => {}
            _ => return false,
        }
    }
}

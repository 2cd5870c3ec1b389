//! `GET /docs`: the contract as a page for people, with all that it needs: it asks no other host for anything.

use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use utoipa_swagger_ui::{Config, SwaggerFile, serve};

use super::no_route;
use crate::extract::FilePath;
use crate::problem::Problem;

/// The page runs its own scripts, asks this server, and nothing else. It sets styles from its scripts.
const OWN_CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files that the page asks for.
pub(super) const FILES: [&str; 7] = [
    "favicon-16x16.png",
    "favicon-32x32.png",
    "index.css",
    "swagger-initializer.js",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-ui.css",
];

/// The badge of a validator would ask a foreign host.
static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    Arc::new(Config::from("openapi.json").validator_url("none").display_operation_id(false).use_base_layout())
});

/// Paths are relative to that of the page, so that it works below a prefix too.
pub(super) async fn page() -> Result<Response, Problem> {
    let SwaggerFile { bytes, .. } = file("index.html")?;
    let html = String::from_utf8_lossy(&bytes)
        .replace("\"./", "\"docs/")
        .replace("\"index.css\"", "\"docs/index.css\"");
    Ok(answer("text/html; charset=utf-8", html.into()))
}

pub(super) async fn files(FilePath(name): FilePath) -> Result<Response, Problem> {
    if !FILES.contains(&name.as_str()) {
        return Err(no_route());
    }
    let SwaggerFile { bytes, content_type, .. } = file(&name)?;
    Ok(answer(&content_type, bytes.into_owned().into()))
}

fn file(name: &str) -> Result<SwaggerFile<'static>, Problem> {
    serve(name, Arc::clone(&CONFIG)).ok().flatten().ok_or_else(Problem::internal)
}

fn answer(content_type: &str, bytes: Bytes) -> Response {
    ([(CONTENT_TYPE, content_type), (CONTENT_SECURITY_POLICY, OWN_CONTENT)], bytes).into_response()
}

//! `GET /openapi.json`: the contract, made of the routes and the limits that are checked.

mod answers;
mod bodies;
mod faults;
mod operation;
mod operations;
mod schema;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::OriginalUri;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use license_core::token::Scope;
use utoipa::openapi::path::{PathItem, PathsBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Response as Answer,
    ServerBuilder,
};

use super::routes;
use crate::problem::Problem;
use crate::wire;

const ABOUT: &str = "Issue licenses, and have software ask whether they are valid.\n\n\
    Every answer is JSON, errors too: those of `/api/v1/validate` say `valid: false`, all others are problems of RFC 9457. \
    Go by `code`; texts may change. A path there is not is answered 404 `ROUTE_NOT_FOUND`, a method that a path does not have \
    405 `METHOD_NOT_ALLOWED` with `Allow`; a request that is no HTTP, or whose head is far too long, gets a status without a body. A parameter or a field that \
    is not known is refused. Times are RFC 3339 in UTC.\n\n\
    Of every answer browsers and caches are told `X-Content-Type-Options: nosniff`, `Referrer-Policy: no-referrer`, a \
    `Content-Security-Policy`, and `Cache-Control: no-store`.";

/// The contract: OpenAPI 3.1 of every route, with all that it may answer. An app that mounts the router below a prefix can
/// [`nest`](OpenApi::nest) it there in a document of its own.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut described = operations::operations();
    let mut shared = faults::responses();
    let mut paths = PathsBuilder::new();
    for route in routes() {
        let Some(index) = described.iter().position(|op| op.method == route.method && op.path == route.path)
        else {
            continue;
        };
        let (method, operation) = described.swap_remove(index).build(route.scopes, &mut shared);
        paths = paths.path(route.path, PathItem::new(method, operation));
    }
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("License server")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(ABOUT))
                .license(Some(
                    LicenseBuilder::new()
                        .name("MIT OR Apache-2.0")
                        .identifier(Some("MIT OR Apache-2.0"))
                        .build(),
                ))
                .build(),
        )
        .paths(paths)
        .components(Some(components(shared)))
        .tags(Some(
            operations::TAGS
                .map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build()),
        ))
        .build()
}

fn components(responses: BTreeMap<String, Answer>) -> Components {
    let scopes: Vec<_> = Scope::ALL.iter().map(|scope| format!("`{scope}`")).collect();
    let token =
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("lkt_…").description(Some(format!(
            "An API token with the scopes of the call, of {}; the last is all of them.",
            scopes.join(", ")
        )));
    let components =
        ComponentsBuilder::new().security_scheme(operation::TOKEN, SecurityScheme::Http(token.build()));
    let components =
        answers::schemas().into_iter().fold(components, |all, (name, schema)| all.schema(name, schema));
    let components =
        bodies::schemas().into_iter().fold(components, |all, (name, schema)| all.schema(name, schema));
    let components =
        faults::headers().into_iter().fold(components, |all, (name, header)| all.header(name, header));
    responses.into_iter().fold(components, |all, (name, response)| all.response(name, response)).build()
}

/// Written once: it is always the same.
static TEXT: LazyLock<Option<Bytes>> = LazyLock::new(|| openapi().to_json().ok().map(Bytes::from));

/// Below a prefix of another app the paths are below it too.
pub(super) async fn get(OriginalUri(uri): OriginalUri) -> Result<Response, Problem> {
    let prefix = uri.path().strip_suffix("/openapi.json").unwrap_or_default();
    if prefix.is_empty() {
        let text = TEXT.clone().ok_or_else(Problem::internal)?;
        return Ok(([(CONTENT_TYPE, "application/json")], text).into_response());
    }
    let mut document = openapi();
    document.servers = Some(vec![ServerBuilder::new().url(prefix).build()]);
    Ok(wire::json(StatusCode::OK, &document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_once_and_nothing_else() {
        let name = |method: &axum::http::Method, path: &str| format!("{method} {path}");
        let mut described: Vec<_> =
            operations::operations().iter().map(|op| name(&op.method, op.path)).collect();
        let mut there: Vec<_> = routes().iter().map(|route| name(&route.method, route.path)).collect();
        described.sort();
        there.sort();
        assert_eq!(described, there);
    }
}

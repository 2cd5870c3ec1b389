//! The document, built from the route table and the limits that are enforced.

use std::collections::BTreeMap;

use axum::http::Method;
use license_core::access::Scope;
use utoipa::openapi::path::{PathItem, PathsBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Response,
};

use super::{error_responses, operation, operations, request_bodies, responses};
use crate::routes::{self, Route};

pub(super) const OPENAPI_JSON: &str = "/openapi.json";
pub(super) const DOCS: &str = "/docs";
pub(super) const STYLE: &str = "/docs/style.css";

const ABOUT: &str = "Issue licenses, and let software check them.\n\n\
    Every response is JSON, errors included. Errors of `/api/v1/validate` and `/api/v1/deactivate` have `valid: false`; all \
    others are problem details of RFC 9457. Rely on `code`; texts may change. An unknown path is answered 404 \
    `ROUTE_NOT_FOUND`, and an unsupported method 405 `METHOD_NOT_ALLOWED` with `Allow`. A request that is not HTTP, or whose \
    head is far too large, gets a status without a body. Unknown parameters and fields are errors. Times are RFC 3339 in UTC.\n\n\
    Every response has `X-Content-Type-Options: nosniff`, `Referrer-Policy: no-referrer`, a `Content-Security-Policy`, and \
    `Cache-Control: no-store`.";

/// Returns all routes, those of the contract included.
pub(crate) fn routes() -> Vec<Route> {
    let contract = [OPENAPI_JSON, DOCS, STYLE].map(|path| Route::public(Method::GET, path));
    routes::routes().into_iter().chain(contract).collect()
}

/// Returns the OpenAPI 3.1 document of all routes.
///
/// If you mount the router below a prefix, you can [`nest`](OpenApi::nest) the document in one of your own.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut described = operations::operations();
    let mut shared = error_responses::unrouted();
    let mut paths = PathsBuilder::new();
    for route in routes() {
        let Some(index) = described.iter().position(|op| op.method == route.method && op.path == route.path)
        else {
            continue;
        };
        let (method, operation) = described.swap_remove(index).build(route.scopes, &mut shared);
        paths = paths.path(route.path, PathItem::new(method, operation));
    }
    let license = "MIT OR Apache-2.0";
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("License server")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(ABOUT))
                .license(Some(LicenseBuilder::new().name(license).identifier(Some(license)).build()))
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

fn components(responses: BTreeMap<String, Response>) -> Components {
    let scopes = Scope::ALL.map(|scope| format!("`{scope}`")).join(", ");
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("lkt_…").description(Some(
        format!("An API token with the scopes of the call: {scopes}. The last one includes all."),
    ));
    let mut components =
        ComponentsBuilder::new().security_scheme(operation::TOKEN, SecurityScheme::Http(token.build()));
    for (name, schema) in responses::schemas().into_iter().chain(request_bodies::schemas()) {
        components = components.schema(name, schema);
    }
    for (name, header) in error_responses::headers() {
        components = components.header(name, header);
    }
    responses.into_iter().fold(components, |all, (name, response)| all.response(name, response)).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_once_and_nothing_else() {
        let name = |method: &Method, path: &str| format!("{method} {path}");
        let mut described: Vec<_> =
            operations::operations().iter().map(|op| name(&op.method, op.path)).collect();
        let mut existing: Vec<_> = routes().iter().map(|route| name(&route.method, route.path)).collect();
        described.sort();
        existing.sort();
        assert_eq!(described, existing);
    }
}

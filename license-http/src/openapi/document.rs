//! The document, built from the route table and the limits that are enforced.

use axum::http::Method;
use license_core::access::Scope;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::{error_responses, operation, operations, request_bodies, responses};
use crate::routes::{self, Route};

pub(super) const OPENAPI_JSON: &str = "/openapi.json";
pub(super) const DOCS: &str = "/docs";
pub(super) const STYLE: &str = "/docs/style.css";

const ABOUT: &str = "Issue licenses, and let software check them.\n\n\
    Every response is JSON, errors included. Errors of `/api/v1/validate`, `/api/v1/deactivate` and `/api/v1/activations/list` have `valid: false`; all \
    others are problem details of RFC 9457. Rely on `code`; texts may change. An unknown path is answered 404 \
    `ROUTE_NOT_FOUND`, and an unsupported method 405 `METHOD_NOT_ALLOWED` with `Allow`. A request that is not HTTP, or whose \
    head is far too large, gets a status without a body. Unknown parameters and fields are errors that list the known \
    ones; calls with a license key can ask for leniency with `Prefer: handling=lenient`. `GET /` lists where to go. Times are RFC 3339 in UTC.\n\n\
    Every response has `X-Content-Type-Options: nosniff`, `Referrer-Policy: no-referrer`, a `Content-Security-Policy`, and \
    `Cache-Control: no-store`.";

/// Returns all routes, including those of the OpenAPI document.
pub(crate) fn routes() -> Vec<Route> {
    let contract = [OPENAPI_JSON, DOCS, STYLE].map(|path| Route::public(Method::GET, path));
    routes::routes().into_iter().chain(contract).collect()
}

/// Returns the OpenAPI 3.1 document of all routes.
///
/// If you mount the router below a prefix, you can [`nest`](OpenApi::nest) the document in one of your own.
#[must_use]
pub fn openapi() -> OpenApi {
    // A test compares the document with the committed one.
    serde_json::from_value(document()).unwrap_or_default()
}

pub(super) fn document() -> Value {
    let mut described = operations::operations();
    let mut responses = error_responses::unrouted();
    let mut paths = json!({});
    for route in routes() {
        let path = route.path.strip_prefix(operation::API).unwrap_or(route.path);
        if let Some(index) = described.iter().position(|op| op.method == route.method && op.path == path) {
            let operation = described.swap_remove(index).build(route.scopes, &mut responses);
            paths[route.path][route.method.as_str().to_lowercase()] = operation;
        }
    }
    let schemas: Map<_, _> = responses::schemas().into_iter().chain(request_bodies::schemas()).collect();
    let scopes = Scope::ALL.map(|scope| format!("`{scope}`")).join(", ");
    let token = format!("An API token with the scopes of the call: {scopes}. The last one includes all.");
    let license = "MIT OR Apache-2.0";
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "License server",
            "description": ABOUT,
            "license": { "name": license, "identifier": license },
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses,
            "headers": error_responses::headers(),
            "securitySchemes": {
                operation::TOKEN: {
                    "type": "http", "scheme": "bearer", "bearerFormat": "lkt_…", "description": token,
                },
            },
        },
        "tags": operations::TAGS.map(|(name, about)| json!({ "name": name, "description": about })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_once_and_nothing_else() {
        let name =
            |method: &Method, path: &str| format!("{method} {}", path.trim_start_matches(operation::API));
        let mut described: Vec<_> =
            operations::operations().iter().map(|op| name(&op.method, op.path)).collect();
        let mut existing: Vec<_> = routes().iter().map(|route| name(&route.method, route.path)).collect();
        described.sort();
        existing.sort();
        assert_eq!(described, existing);
    }
}

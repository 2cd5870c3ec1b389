//! Paths, their handlers, and the scopes that each needs.

pub(crate) mod activations;
pub(crate) mod audit;
mod batches;
pub(crate) mod blocks;
pub(crate) mod customer_activations;
pub(crate) mod customers;
pub(crate) mod deactivate;
#[cfg(feature = "webhooks")]
pub(crate) mod deliveries;
pub(crate) mod events;
mod grants;
pub(crate) mod health;
pub(crate) mod jobs;
mod key_request;
pub(crate) mod leases;
mod license_table;
pub(crate) mod licenses;
mod metrics;
mod not_found;
pub(crate) mod plans;
#[cfg(all(feature = "process-metrics", target_os = "linux"))]
mod process_metrics;
pub(crate) mod products;
mod revocations;
pub(crate) mod search;
pub(crate) mod signing_keys;
pub(crate) mod tokens;
pub(crate) mod usage;
pub(crate) mod validate;
#[cfg(feature = "webhooks")]
pub(crate) mod webhook_endpoints;

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, Method};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, MethodRouter, any, get, on, post};
use license_core::access::Scope;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::auth::{AuthConfig, authenticate, require_scopes};
use crate::hardening::harden;
use crate::limits::{LimitOptions, RequestLimits, limit_admin_calls, limit_unauthorized};
use crate::problem::{Code, Problem};
use crate::state::HttpState;

const VALIDATE: &str = "/api/v1/validate";
const DEACTIVATE: &str = "/api/v1/deactivate";
const LIST_ACTIVATIONS: &str = "/api/v1/activations/list";
const LEASES: &str = "/api/v1/leases";
const RELEASE_LEASE: &str = "/api/v1/leases/release";

/// A route and the scopes it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// HTTP method.
    pub method: Method,
    /// Path, with `{names}` for its parameters.
    pub path: &'static str,
    /// Scopes that the caller must have, all of them; `None` for a public route.
    pub scopes: Option<&'static [Scope]>,
}

impl Route {
    pub(crate) fn public(method: Method, path: &'static str) -> Self {
        Self { method, path, scopes: None }
    }
}

/// Returns all routes except those of the OpenAPI document. The routers are built from the same tables.
pub(crate) fn routes() -> Vec<Route> {
    let open = open_table().into_iter().map(|(path, _)| Route::public(Method::GET, path));
    let with_key = [VALIDATE, DEACTIVATE, LIST_ACTIVATIONS, LEASES, RELEASE_LEASE];
    let with_key = with_key.map(|path| Route::public(Method::POST, path));
    let open = open.chain(well_known_table().map(|(path, _)| Route::public(Method::GET, path)));
    let tables = [license_table(), webhook_table(), access_table(), catalog_table(), signing_key_table()];
    let admin = tables.into_iter().flatten();
    let admin =
        admin.map(|AdminRoute { method, path, scopes, .. }| Route { method, path, scopes: Some(scopes) });
    open.chain(with_key).chain(admin).collect()
}

/// A route that needs scopes.
struct AdminRoute {
    method: Method,
    path: &'static str,
    scopes: &'static [Scope],
    handler: MethodRouter<HttpState>,
}

/// One line per route.
macro_rules! table {
    ($($method:ident $path:literal [$($scope:ident),+] $handler:path;)+) => {
        vec![$(AdminRoute {
            method: Method::$method,
            path: $path,
            scopes: &[$(Scope::$scope),+],
            handler: on(MethodFilter::$method, $handler),
        }),+]
    };
}

/// Routes that need neither a token nor a key.
fn open_table() -> [(&'static str, MethodRouter<HttpState>); 5] {
    [
        ("/health", get(health::health)),
        ("/ready", get(health::ready)),
        ("/metrics", get(metrics::metrics)),
        ("/api/v1/jwks.json", get(signing_keys::jwks)),
        ("/api/v1/revocations", get(revocations::revocations)),
    ]
}

/// Paths that clients expect at the root of a host (RFC 8615).
fn well_known_table() -> [(&'static str, MethodRouter<HttpState>); 1] {
    [("/.well-known/jwks.json", get(signing_keys::jwks))]
}

fn license_table() -> Vec<AdminRoute> {
    table! {
        POST "/api/v1/licenses" [LicensesWrite] licenses::create;
        GET "/api/v1/licenses" [LicensesRead] search::list;
        POST "/api/v1/licenses/bulk" [LicensesWrite] jobs::create;
        GET "/api/v1/jobs" [LicensesRead] jobs::list;
        GET "/api/v1/jobs/{job_id}" [LicensesRead] jobs::get;
        GET "/api/v1/jobs/{job_id}/refused" [LicensesRead] jobs::list_refused;
        POST "/api/v1/jobs/{job_id}/cancel" [LicensesWrite] jobs::cancel;
        GET "/api/v1/licenses/{id}" [LicensesRead] licenses::get;
        PUT "/api/v1/licenses/{id}" [LicensesWrite] licenses::change;
        DELETE "/api/v1/licenses/{id}" [LicensesWrite] licenses::revoke;
        POST "/api/v1/licenses/{id}/suspend" [LicensesWrite] licenses::suspend;
        POST "/api/v1/licenses/{id}/reinstate" [LicensesWrite] licenses::reinstate;
        POST "/api/v1/licenses/{id}/renew" [LicensesWrite] licenses::renew;
        POST "/api/v1/licenses/{id}/rotate-key" [LicensesWrite] licenses::rotate_key;
        GET "/api/v1/licenses/{id}/activations" [LicensesRead] activations::list;
        DELETE "/api/v1/licenses/{id}/activations/{activation_id}" [LicensesWrite] activations::release;
        PATCH "/api/v1/licenses/{id}/activations/{activation_id}" [LicensesWrite] activations::label;
        GET "/api/v1/licenses/{id}/usage" [UsageRead] usage::usage;
        GET "/api/v1/metrics" [UsageRead] metrics::with_business;
        GET "/api/v1/usage" [UsageRead] usage::overview;
        GET "/api/v1/events" [LicensesRead] events::list;
        DELETE "/api/v1/customers/{email}" [LicensesWrite] customers::erase;
        GET "/api/v1/customers/{email}/export" [LicensesRead, UsageRead] customers::export;
        POST "/api/v1/licenses/search" [LicensesRead] search::search;
        GET "/api/v1/customers" [LicensesRead] customers::list;
        GET "/api/v1/customers/{email}" [LicensesRead] customers::get;
        POST "/api/v1/licenses/{id}/grants" [LicensesWrite] grants::add;
        DELETE "/api/v1/licenses/{id}/grants" [LicensesWrite] grants::remove;
        POST "/api/v1/licenses/batch" [LicensesWrite] batches::create;
        POST "/api/v1/licenses/{id}/activations/{activation_id}/block" [LicensesWrite] blocks::block_activation;
        GET "/api/v1/licenses/{id}/blocked" [LicensesRead] blocks::list;
        POST "/api/v1/licenses/{id}/blocked" [LicensesWrite] blocks::block_name;
        DELETE "/api/v1/licenses/{id}/blocked/{block_id}" [LicensesWrite] blocks::unblock;
        GET "/api/v1/licenses/{id}/leases" [LicensesRead] leases::list;
        POST "/api/v1/lease-requests" [LeasesWrite] leases::issue_by_code;
    }
}

#[cfg(feature = "webhooks")]
fn webhook_table() -> Vec<AdminRoute> {
    use webhook_endpoints as endpoints;
    table! {
        POST "/api/v1/webhook-endpoints" [WebhooksWrite] endpoints::create;
        GET "/api/v1/webhook-endpoints" [WebhooksRead] endpoints::list;
        GET "/api/v1/webhook-endpoints/{id}" [WebhooksRead] endpoints::get;
        PUT "/api/v1/webhook-endpoints/{id}" [WebhooksWrite] endpoints::set;
        DELETE "/api/v1/webhook-endpoints/{id}" [WebhooksWrite] endpoints::delete;
        POST "/api/v1/webhook-endpoints/{id}/enable" [WebhooksWrite] endpoints::enable;
        POST "/api/v1/webhook-endpoints/{id}/disable" [WebhooksWrite] endpoints::disable;
        POST "/api/v1/webhook-endpoints/{id}/rotate-secret" [WebhooksWrite] endpoints::rotate_secret;
        POST "/api/v1/webhook-endpoints/{id}/test" [WebhooksWrite] endpoints::test;
        POST "/api/v1/webhook-endpoints/{id}/replay" [WebhooksWrite] endpoints::replay;
        GET "/api/v1/webhook-endpoints/{id}/deliveries" [WebhooksRead] deliveries::list;
        POST "/api/v1/webhook-endpoints/{id}/deliveries/{delivery_id}/replay" [WebhooksWrite] deliveries::replay;
    }
}

#[cfg(not(feature = "webhooks"))]
fn webhook_table() -> Vec<AdminRoute> {
    Vec::new()
}

/// Tokens and the audit log. Tokens have no read-only scope: a caller that may create tokens may list them.
fn access_table() -> Vec<AdminRoute> {
    table! {
        POST "/api/v1/tokens" [TokensWrite] tokens::create;
        GET "/api/v1/tokens" [TokensWrite] tokens::list;
        GET "/api/v1/tokens/{token_id}" [TokensWrite] tokens::get;
        DELETE "/api/v1/tokens/{token_id}" [TokensWrite] tokens::revoke;
        GET "/api/v1/audit" [AuditRead] audit::list;
    }
}

fn signing_key_table() -> Vec<AdminRoute> {
    table! {
        GET "/api/v1/signing-keys" [KeysWrite] signing_keys::list;
        POST "/api/v1/signing-keys/rotate" [KeysWrite] signing_keys::rotate;
        POST "/api/v1/signing-keys/{key_id}/revoke" [KeysWrite] signing_keys::revoke;
    }
}

fn catalog_table() -> Vec<AdminRoute> {
    table! {
        POST "/api/v1/products" [CatalogWrite] products::create;
        GET "/api/v1/products" [CatalogRead] products::list;
        GET "/api/v1/products/{name}" [CatalogRead] products::get;
        PUT "/api/v1/products/{name}" [CatalogWrite] products::change;
        DELETE "/api/v1/products/{name}" [CatalogWrite] products::delete;
        POST "/api/v1/plans" [CatalogWrite] plans::create;
        GET "/api/v1/plans" [CatalogRead] plans::list;
        GET "/api/v1/plans/{name}" [CatalogRead] plans::get;
        GET "/api/v1/plans/{name}/versions" [CatalogRead] plans::versions;
        PUT "/api/v1/plans/{name}" [CatalogWrite] plans::change;
        POST "/api/v1/plans/{name}/archive" [CatalogWrite] plans::archive;
        POST "/api/v1/plans/{name}/unarchive" [CatalogWrite] plans::unarchive;
    }
}

/// Builds the routes that need no authentication.
pub(crate) fn public(options: &LimitOptions) -> Router<HttpState> {
    let validate = post(validate::validate).fallback(key_request::method_not_allowed);
    let deactivate = post(deactivate::deactivate).fallback(key_request::method_not_allowed);
    let list = post(customer_activations::list).fallback(key_request::method_not_allowed);
    let lease = post(leases::issue).fallback(key_request::method_not_allowed);
    let release = post(leases::release).fallback(key_request::method_not_allowed);
    let cors = cors(options);
    let with_key = [
        (VALIDATE, validate),
        (DEACTIVATE, deactivate),
        (LIST_ACTIVATIONS, list),
        (LEASES, lease),
        (RELEASE_LEASE, release),
    ];
    with_key.into_iter().fold(open(open_table()), |router, (path, handler)| match &cors {
        Some(cors) => router.route(path, handler.layer(cors.clone())),
        None => router.route(path, handler),
    })
}

/// Builds the routes at the root of a host.
pub(crate) fn well_known() -> Router<HttpState> {
    open(well_known_table())
}

/// Builds the route of all metrics for a private address.
pub(crate) fn private_metrics() -> Router<HttpState> {
    open([("/metrics", get(metrics::with_process))])
}

/// Builds routes that need neither authentication nor a license key.
pub(crate) fn open(
    table: impl IntoIterator<Item = (&'static str, MethodRouter<HttpState>)>,
) -> Router<HttpState> {
    table
        .into_iter()
        .fold(Router::new(), |router, (path, handler)| router.route(path, handler))
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(from_fn(harden))
}

/// Builds the routes that need scopes. They authenticate first, even for an unsupported method.
pub(crate) fn admin(config: AuthConfig, with_access: bool, limits: &Arc<RequestLimits>) -> Router<HttpState> {
    let access = if with_access { access_table() } else { Vec::new() };
    license_table()
        .into_iter()
        .chain(webhook_table())
        .chain(access)
        .chain(catalog_table())
        .chain(signing_key_table())
        .fold(Router::new(), |router, AdminRoute { method: _, path, scopes, handler }| {
            router.route(path, handler.route_layer(from_fn_with_state(scopes, require_scopes)))
        })
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(from_fn_with_state(Arc::clone(limits), limit_admin_calls))
        .route_layer(from_fn_with_state(config, authenticate))
        .route_layer(from_fn_with_state(Arc::clone(limits), limit_unauthorized))
        .route_layer(from_fn(harden))
}

/// Answers unknown paths, and `/` if the router has an index.
pub(crate) fn fallback(has_index: bool) -> MethodRouter<HttpState> {
    let answer = if has_index { any(not_found::index) } else { any(not_found::not_found) };
    answer.layer(from_fn(harden))
}

/// Returns a CORS layer if web pages may call at all. The layer boxes futures, so it is not added otherwise.
fn cors(options: &LimitOptions) -> Option<CorsLayer> {
    if options.cors_origins.is_empty() {
        return None;
    }
    let all = options.cors_origins.iter().any(|origin| origin == "*");
    let origins =
        if all { AllowOrigin::any() } else { AllowOrigin::list(options.cors_origins.iter().cloned()) };
    let exposed = [
        "ratelimit",
        "ratelimit-policy",
        "x-request-id",
        "x-license-store",
        "retry-after",
        "preference-applied",
    ];
    Some(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::POST])
            .allow_headers([CONTENT_TYPE, HeaderName::from_static("prefer")])
            .expose_headers(exposed.map(HeaderName::from_static))
            .max_age(std::time::Duration::from_hours(1)),
    )
}

/// Answers unsupported methods. axum adds the Allow header.
async fn method_not_allowed() -> Problem {
    Code::MethodNotAllowed.into()
}

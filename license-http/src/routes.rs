//! The paths, which handler answers each, and what it needs.

mod activations;
mod audit;
mod customers;
mod deactivate;
#[cfg(feature = "webhooks")]
mod deliveries;
#[cfg(feature = "openapi")]
mod docs;
mod events;
mod health;
mod keyed;
mod licenses;
mod metrics;
#[cfg(feature = "openapi")]
pub(crate) mod openapi;
mod tokens;
mod usage;
pub(crate) mod validate;
#[cfg(feature = "webhooks")]
mod webhook_endpoints;

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, Method};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any, delete, get, patch, post, put};
use license_core::token::Scope;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::auth::{Door, let_in, need};
use crate::edge::{Edge, EdgeOptions, admit_token, count_unauthorized};
use crate::guard::Guard;
use crate::problem::{Code, Problem};
use crate::state::HttpState;

/// The path of validations.
pub(crate) const VALIDATE: &str = "/api/v1/validate";

/// The path of customers' own releases.
const DEACTIVATE: &str = "/api/v1/deactivate";

/// How long a browser need not ask again whether it may call.
const PREFLIGHT_TIME: std::time::Duration = std::time::Duration::from_hours(1);

type Routes = Router<HttpState>;

/// A route, and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with `{names}` for its parameters.
    pub path: &'static str,
    /// The scopes that a caller has to have, all of them; `None`: anyone may call.
    pub scopes: Option<&'static [Scope]>,
}

/// Every route there is. [`router`](crate::router) is made of the same list.
#[must_use]
pub fn routes() -> Vec<Route> {
    let public = public_table().into_iter().map(|(method, path, _)| Route { method, path, scopes: None });
    let keyed = [VALIDATE, DEACTIVATE].map(|path| Route { method: Method::POST, path, scopes: None });
    let public = public.chain(keyed);
    let admin = license_table().into_iter().chain(webhook_table()).chain(access_table());
    public
        .chain(admin.map(|Entry { method, path, scopes, .. }| Route { method, path, scopes: Some(scopes) }))
        .collect()
}

/// A route that needs scopes.
struct Entry {
    method: Method,
    path: &'static str,
    scopes: &'static [Scope],
    handler: MethodRouter<HttpState>,
}

/// One line a route: handlers are made by the function of their method, so that none is listed under another.
macro_rules! table {
    ($($method:ident $path:literal [$($scope:ident),+] $handler:path;)+) => {
        vec![$(Entry {
            method: table!(@ $method),
            path: $path,
            scopes: &[$(Scope::$scope),+],
            handler: $method($handler),
        }),+]
    };
    (@ get) => { Method::GET };
    (@ post) => { Method::POST };
    (@ put) => { Method::PUT };
    (@ patch) => { Method::PATCH };
    (@ delete) => { Method::DELETE };
}

fn public_table() -> Vec<(Method, &'static str, MethodRouter<HttpState>)> {
    vec![
        (Method::GET, "/health", get(health::health)),
        (Method::GET, "/ready", get(health::ready)),
        (Method::GET, "/metrics", get(metrics::metrics)),
        #[cfg(feature = "openapi")]
        (Method::GET, "/openapi.json", get(openapi::get)),
        #[cfg(feature = "openapi")]
        (Method::GET, "/docs", get(docs::get)),
        #[cfg(feature = "openapi")]
        (Method::GET, "/docs/style.css", get(docs::style)),
    ]
}

fn license_table() -> Vec<Entry> {
    table! {
        post "/api/v1/licenses" [LicensesWrite] licenses::create;
        get "/api/v1/licenses" [LicensesRead] licenses::list;
        get "/api/v1/licenses/{id}" [LicensesRead] licenses::get;
        put "/api/v1/licenses/{id}" [LicensesWrite] licenses::change;
        delete "/api/v1/licenses/{id}" [LicensesWrite] licenses::revoke;
        post "/api/v1/licenses/{id}/suspend" [LicensesWrite] licenses::suspend;
        post "/api/v1/licenses/{id}/reinstate" [LicensesWrite] licenses::reinstate;
        post "/api/v1/licenses/{id}/renew" [LicensesWrite] licenses::renew;
        post "/api/v1/licenses/{id}/rotate-key" [LicensesWrite] licenses::rotate_key;
        get "/api/v1/licenses/{id}/activations" [LicensesRead] activations::list;
        delete "/api/v1/licenses/{id}/activations/{activation_id}" [LicensesWrite] activations::release;
        patch "/api/v1/licenses/{id}/activations/{activation_id}" [LicensesWrite] activations::label;
        get "/api/v1/licenses/{id}/usage" [UsageRead] usage::usage;
        get "/api/v1/usage" [UsageRead] usage::overview;
        get "/api/v1/events" [LicensesRead] events::list;
        delete "/api/v1/customers/{email}" [LicensesWrite] customers::anonymise;
        get "/api/v1/customers/{email}/export" [LicensesRead, UsageRead] customers::export;
    }
}

#[cfg(feature = "webhooks")]
fn webhook_table() -> Vec<Entry> {
    use webhook_endpoints as endpoints;
    table! {
        post "/api/v1/webhook-endpoints" [WebhooksWrite] endpoints::create;
        get "/api/v1/webhook-endpoints" [WebhooksRead] endpoints::list;
        get "/api/v1/webhook-endpoints/{id}" [WebhooksRead] endpoints::get;
        put "/api/v1/webhook-endpoints/{id}" [WebhooksWrite] endpoints::set;
        delete "/api/v1/webhook-endpoints/{id}" [WebhooksWrite] endpoints::delete;
        post "/api/v1/webhook-endpoints/{id}/enable" [WebhooksWrite] endpoints::enable;
        post "/api/v1/webhook-endpoints/{id}/disable" [WebhooksWrite] endpoints::disable;
        post "/api/v1/webhook-endpoints/{id}/rotate-secret" [WebhooksWrite] endpoints::rotate_secret;
        post "/api/v1/webhook-endpoints/{id}/test" [WebhooksWrite] endpoints::test;
        post "/api/v1/webhook-endpoints/{id}/replay" [WebhooksWrite] endpoints::replay;
        get "/api/v1/webhook-endpoints/{id}/deliveries" [WebhooksRead] deliveries::list;
        post "/api/v1/webhook-endpoints/{id}/deliveries/{delivery_id}/replay" [WebhooksWrite] deliveries::replay;
    }
}

#[cfg(not(feature = "webhooks"))]
fn webhook_table() -> Vec<Entry> {
    Vec::new()
}

/// What there is only with an [`AccessService`](license_core::access::AccessService). There is no scope to read tokens alone: who
/// may make them may see them.
fn access_table() -> Vec<Entry> {
    table! {
        post "/api/v1/tokens" [TokensWrite] tokens::create;
        get "/api/v1/tokens" [TokensWrite] tokens::list;
        get "/api/v1/tokens/{token_id}" [TokensWrite] tokens::get;
        delete "/api/v1/tokens/{token_id}" [TokensWrite] tokens::revoke;
        get "/api/v1/audit" [AuditRead] audit::list;
    }
}

pub(crate) fn public(options: &EdgeOptions) -> Routes {
    let health = public_table()
        .into_iter()
        .fold(Router::new(), |router, (_, path, handler)| router.route(path, handler))
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(Guard::problems());
    // Around the handlers: around the route it would cost a copy of the route, and a future in a box, for each request.
    let validate = post(validate::validate.layer(Guard::refusals()))
        .fallback(keyed::method_not_allowed.layer(Guard::refusals()));
    let deactivate = post(deactivate::deactivate.layer(Guard::refusals()))
        .fallback(keyed::method_not_allowed.layer(Guard::refusals()));
    let (validate, deactivate) = match cors(options) {
        Some(cors) => (validate.layer(cors.clone()), deactivate.layer(cors)),
        None => (validate, deactivate),
    };
    health.route(VALIDATE, validate).route(DEACTIVATE, deactivate)
}

/// A path there is asks who it is before all else, also where it lacks the method; a path there is not is not found,
/// for everybody: what paths there are is no secret.
pub(crate) fn admin(door: Door, with_access: bool, edge: &Arc<Edge>) -> Routes {
    let access = if with_access { access_table() } else { Vec::new() };
    license_table()
        .into_iter()
        .chain(webhook_table())
        .chain(access)
        .fold(Router::new(), |router, Entry { method: _, path, scopes, handler }| {
            router.route(path, handler.route_layer(from_fn_with_state(scopes, need)))
        })
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(from_fn_with_state(Arc::clone(edge), admit_token))
        .route_layer(from_fn_with_state(door, let_in))
        .route_layer(from_fn_with_state(Arc::clone(edge), count_unauthorized))
        .route_layer(Guard::problems())
}

/// What answers where no route does.
pub(crate) fn not_found() -> MethodRouter<HttpState> {
    any((async || no_route()).layer(Guard::problems()))
}

fn no_route() -> Problem {
    Problem::new(Code::RouteNotFound, "There is nothing at this path.")
}

/// Where web pages may call at all: a layer boxes what it is around.
fn cors(options: &EdgeOptions) -> Option<CorsLayer> {
    if options.cors_origins.is_empty() {
        return None;
    }
    let all = options.cors_origins.iter().any(|origin| origin == "*");
    let origins =
        if all { AllowOrigin::any() } else { AllowOrigin::list(options.cors_origins.iter().cloned()) };
    let exposed = ["ratelimit", "ratelimit-policy", "x-request-id", "x-license-store"];
    Some(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::POST])
            .allow_headers([CONTENT_TYPE])
            .expose_headers(
                exposed.map(HeaderName::from_static).into_iter().chain([RETRY_AFTER]).collect::<Vec<_>>(),
            )
            .max_age(PREFLIGHT_TIME),
    )
}

/// axum adds the Allow header.
async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}

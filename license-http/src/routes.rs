//! The paths, and which handler answers each.

mod activations;
mod health;
mod licenses;
mod metrics;
mod usage;
mod validate;

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any, delete, get, post};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::auth::{AdminAuth, require_token};
use crate::edge::{Edge, EdgeOptions, admit_token, count_unauthorized};
use crate::guard::Guard;
use crate::problem::Problem;
use crate::state::HttpState;

/// The path of validations.
pub(crate) const VALIDATE: &str = "/api/v1/validate";

/// How long a browser need not ask again whether it may call.
const PREFLIGHT_TIME: std::time::Duration = std::time::Duration::from_hours(1);

type Routes = Router<HttpState>;

pub(crate) fn public(options: &EdgeOptions) -> Routes {
    let health = Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(Guard::problems());
    // Around the handlers: around the route it would cost a copy of the route, and a future in a box, for each request.
    let validate = post(validate::validate.layer(Guard::refusals()))
        .fallback(validate::method_not_allowed.layer(Guard::refusals()));
    let validate = match cors(options) {
        Some(cors) => validate.layer(cors),
        None => validate,
    };
    health.route(VALIDATE, validate)
}

/// A path there is asks for the token before all else, also where it lacks the method; a path there is not is not found,
/// with a token or without: what paths there are is no secret.
pub(crate) fn admin(auth: AdminAuth, edge: &Arc<Edge>) -> Routes {
    Router::new()
        .route("/api/v1/licenses", post(licenses::create).get(licenses::list))
        .route("/api/v1/licenses/{id}", get(licenses::get).put(licenses::change).delete(licenses::revoke))
        .route("/api/v1/licenses/{id}/suspend", post(licenses::suspend))
        .route("/api/v1/licenses/{id}/reinstate", post(licenses::reinstate))
        .route("/api/v1/licenses/{id}/renew", post(licenses::renew))
        .route("/api/v1/licenses/{id}/rotate-key", post(licenses::rotate_key))
        .route("/api/v1/licenses/{id}/activations", get(activations::list))
        .route("/api/v1/licenses/{id}/activations/{activation_id}", delete(activations::release))
        .route("/api/v1/licenses/{id}/usage", get(usage::usage))
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(from_fn_with_state(Arc::clone(edge), admit_token))
        .route_layer(from_fn_with_state(auth, require_token))
        .route_layer(from_fn_with_state(Arc::clone(edge), count_unauthorized))
        .route_layer(Guard::problems())
}

/// What answers where no route does.
pub(crate) fn not_found() -> MethodRouter<HttpState> {
    let not_found =
        || async { Problem::new(StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND", "There is nothing at this path.") };
    any(not_found.layer(Guard::problems()))
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

//! The paths, and which handler answers each.

mod activations;
#[cfg(feature = "webhooks")]
mod deliveries;
mod events;
mod health;
mod licenses;
mod metrics;
mod usage;
mod validate;
#[cfg(feature = "webhooks")]
mod webhook_endpoints;

use axum::Router;
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};

use crate::auth::{AdminAuth, require_token};
use crate::guard::Guard;
use crate::problem::Problem;
use crate::state::HttpState;

/// The path of validations.
pub(crate) const VALIDATE: &str = "/api/v1/validate";

type Routes = Router<HttpState>;

pub(crate) fn public() -> Routes {
    let health = Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(Guard::problems());
    // Around the handlers: around the route it would cost a copy of the route, and a future in a box, for each request.
    let validate = post(validate::validate.layer(Guard::refusals()))
        .fallback(validate::method_not_allowed.layer(Guard::refusals()));
    health.route(VALIDATE, validate)
}

/// A path there is asks for the token before all else, also where it lacks the method; a path there is not is not found,
/// with a token or without: what paths there are is no secret.
pub(crate) fn admin(auth: AdminAuth) -> Routes {
    let routes = Router::new()
        .route("/api/v1/licenses", post(licenses::create).get(licenses::list))
        .route("/api/v1/licenses/{id}", get(licenses::get).put(licenses::change).delete(licenses::revoke))
        .route("/api/v1/licenses/{id}/suspend", post(licenses::suspend))
        .route("/api/v1/licenses/{id}/reinstate", post(licenses::reinstate))
        .route("/api/v1/licenses/{id}/renew", post(licenses::renew))
        .route("/api/v1/licenses/{id}/rotate-key", post(licenses::rotate_key))
        .route("/api/v1/licenses/{id}/activations", get(activations::list))
        .route("/api/v1/licenses/{id}/activations/{activation_id}", delete(activations::release))
        .route("/api/v1/licenses/{id}/usage", get(usage::usage))
        .route("/api/v1/events", get(events::list));
    #[cfg(feature = "webhooks")]
    let routes = routes.merge(webhooks());
    routes
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(from_fn_with_state(auth, require_token))
        .route_layer(Guard::problems())
}

#[cfg(feature = "webhooks")]
fn webhooks() -> Routes {
    use webhook_endpoints as endpoints;
    Router::new()
        .route("/api/v1/webhook-endpoints", post(endpoints::create).get(endpoints::list))
        .route(
            "/api/v1/webhook-endpoints/{id}",
            get(endpoints::get).put(endpoints::set).delete(endpoints::delete),
        )
        .route("/api/v1/webhook-endpoints/{id}/enable", post(endpoints::enable))
        .route("/api/v1/webhook-endpoints/{id}/disable", post(endpoints::disable))
        .route("/api/v1/webhook-endpoints/{id}/rotate-secret", post(endpoints::rotate_secret))
        .route("/api/v1/webhook-endpoints/{id}/test", post(endpoints::test))
        .route("/api/v1/webhook-endpoints/{id}/replay", post(endpoints::replay))
        .route("/api/v1/webhook-endpoints/{id}/deliveries", get(deliveries::list))
        .route("/api/v1/webhook-endpoints/{id}/deliveries/{delivery_id}/replay", post(deliveries::replay))
}

pub(crate) async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND", "There is nothing at this path.")
}

/// axum adds the Allow header.
async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}

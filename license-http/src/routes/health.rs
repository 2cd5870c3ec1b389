//! Is the process alive, and can it work.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use license_core::change::FeedState;
use license_core::service::LicenseService;
use serde::Serialize;

use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire;

/// How long a store may take to say that it is there.
const ANSWER_TIME: Duration = Duration::from_secs(2);

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Health))]
pub(super) struct Health {
    /// Always ok.
    status: &'static str,
    /// Of the server.
    version: &'static str,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Readiness))]
pub(super) struct Readiness {
    /// Always ready.
    status: &'static str,
    /// Whether this node hears of what other nodes change.
    change_feed: &'static str,
}

/// Never asks the store: a database that is down is no reason to restart this process.
pub(super) async fn health() -> Response {
    wire::json(StatusCode::OK, &Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Whether the store answers, and soon: one that hangs does not.
pub(super) async fn ask(service: &LicenseService) -> Result<FeedState, Problem> {
    match tokio::time::timeout(ANSWER_TIME, service.ready()).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Problem::store_unavailable()),
    }
}

/// A node that does not hear of changes still answers; `change_feed` says that it is `lost`.
pub(super) async fn ready(State(state): State<HttpState>) -> Result<Response, Problem> {
    let _permit = state.edge.probes.enter()?;
    let change_feed = ask(&state.service).await?.as_str();
    Ok(wire::json(StatusCode::OK, &Readiness { status: "ready", change_feed }))
}

//! `/health` and `/ready`.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use license_core::service::Services;
use license_core::store::{HealthWarning, StreamState};
use serde::Serialize;

use crate::client_ip::UntrustedProxySeen;
use crate::problem::{Code, Problem};
use crate::state::HttpState;
use crate::wire;

/// Time within which the store must answer.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Health))]
pub(crate) struct HealthJson {
    /// Always ok.
    status: &'static str,
    /// Version of the server.
    version: &'static str,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Readiness))]
pub(crate) struct Readiness {
    /// Always ready.
    status: &'static str,
    /// Whether this node receives the changes of other nodes.
    change_feed: &'static str,
    /// Conditions that need the operator while this node keeps working.
    warnings: Vec<&'static str>,
}

/// Does not ask the store: a failed database is no reason to restart this process.
pub(super) async fn health() -> Response {
    wire::json(StatusCode::OK, &HealthJson { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Returns an error if the store fails or does not answer in time.
pub(super) async fn check_store(services: &Services) -> Result<StreamState, Problem> {
    match tokio::time::timeout(STORE_TIMEOUT, services.ready()).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Code::StoreUnavailable.into()),
    }
}

/// A node that has lost the change feed is still ready; `change_feed` is then `lost`.
pub(super) async fn ready(
    State(state): State<HttpState>,
    untrusted_proxy: Option<Extension<UntrustedProxySeen>>,
) -> Result<Response, Problem> {
    let _permit = state.limits.probes.acquire()?;
    let change_feed = check_store(&state.services).await?.as_str();
    let untrusted_proxy = untrusted_proxy.map(|_| HealthWarning::UntrustedProxy);
    let warnings = state.services.warnings().into_iter().chain(untrusted_proxy);
    let warnings = warnings.map(HealthWarning::as_str).collect();
    Ok(wire::json(StatusCode::OK, &Readiness { status: "ready", change_feed, warnings }))
}

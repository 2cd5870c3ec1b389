//! Is the process alive, and can it work.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use license_core::service::LicenseService;
use serde::Serialize;

use crate::problem::Problem;
use crate::wire;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
}

/// Never asks the store: a database that is down is no reason to restart this process.
pub(super) async fn health() -> Response {
    wire::json(StatusCode::OK, &Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

pub(super) async fn ready(State(service): State<Arc<LicenseService>>) -> Result<Response, Problem> {
    service.ready().await?;
    Ok(wire::json(StatusCode::OK, &Readiness { status: "ready" }))
}

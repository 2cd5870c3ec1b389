//! `GET /metrics`: figures for Prometheus, the one answer that is no JSON.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use license_core::change::FeedState;
use license_core::service::LicenseService;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::problem::Problem;

const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers also while the store does not: that is what it is asked for.
pub(super) async fn metrics(State(service): State<Arc<LicenseService>>) -> Result<Response, Problem> {
    let up = service.ready().await.is_ok();
    let listening = service.feed_state() == FeedState::Listening;
    let mut registry = Registry::with_prefix("license");
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "What runs here", build);
    let gauge = |is: bool| ConstGauge::new(i64::from(is));
    registry.register("store_up", "1 while the store answers", gauge(up));
    let help = "1 while this node hears of what others change";
    registry.register("change_feed_listening", help, gauge(listening));
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| {
        tracing::error!(%error, "metrics can't be written");
        Problem::internal()
    })?;
    Ok(([(CONTENT_TYPE, TEXT)], text).into_response())
}

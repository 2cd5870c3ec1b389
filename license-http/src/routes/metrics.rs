//! Metrics for Prometheus: `GET /metrics` and `GET /api/v1/metrics`.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use license_core::metrics::{Metric, MetricValue};
use license_core::store::StreamState;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::health;
use crate::extract::NoQuery;
use crate::problem::Problem;
use crate::state::{HttpState, StateInner};

const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics of the server without those of the vendor's business. Answers during an outage of the store too,
/// and reports it.
pub(super) async fn metrics(State(state): State<HttpState>) -> Result<Response, Problem> {
    let _permit = state.limits.probes.acquire()?;
    encoded(server_metrics(&state).await, Registry::default())
}

/// Metrics of the server and of the business. If those of the business cannot be read, they are missing.
pub(crate) async fn with_business(State(state): State<HttpState>, _: NoQuery) -> Result<Response, Problem> {
    let _permit = state.limits.probes.acquire()?;
    encoded(business_metrics(&state).await, Registry::default())
}

/// Metrics of the server, of the business and of the process.
pub(crate) async fn with_process(State(state): State<HttpState>, _: NoQuery) -> Result<Response, Problem> {
    let _permit = state.limits.probes.acquire()?;
    #[cfg_attr(
        not(all(feature = "process-metrics", target_os = "linux")),
        expect(unused_mut, reason = "there are no metrics of the process")
    )]
    let mut registry = Registry::default();
    #[cfg(all(feature = "process-metrics", target_os = "linux"))]
    match super::process_metrics::ProcessMetrics::read() {
        Ok(process) => registry.register_collector(Box::new(process)),
        Err(error) => tracing::warn!(%error, "metrics of the process cannot be read"),
    }
    encoded(business_metrics(&state).await, registry)
}

async fn business_metrics(state: &StateInner) -> Vec<Metric> {
    let mut metrics = server_metrics(state).await;
    match state.services.business_metrics().await {
        Ok(business) => metrics.extend(business),
        Err(error) => tracing::warn!(%error, "metrics of licenses and deliveries cannot be read"),
    }
    metrics
}

async fn server_metrics(state: &StateInner) -> Vec<Metric> {
    let StateInner { services, validate_seconds, limits, .. } = state;
    let up = health::check_store(services).await.is_ok();
    let listening = services.stream_state() == StreamState::Listening;
    let mut metrics = vec![
        Metric::gauge("store_up", "1 if the store answers", up.into()),
        Metric::gauge(
            "change_feed_listening",
            "1 if this node receives the changes of other nodes",
            listening.into(),
        ),
        Metric::gauge(
            "store_outage",
            "1 while validations are answered from memory because the store is down",
            services.is_down().into(),
        ),
        Metric::histogram("validate_seconds", "Duration of validations over HTTP", validate_seconds),
        limits.metric(),
    ];
    metrics.extend(services.metrics());
    #[cfg(feature = "geoip")]
    metrics.extend(state.geoip.metrics());
    #[cfg(feature = "webhooks")]
    metrics.extend(state.webhooks.metrics());
    metrics
}

fn encoded(metrics: Vec<Metric>, mut registry: Registry) -> Result<Response, Problem> {
    let ours = registry.sub_registry_with_prefix("license");
    ours.register("build", "Version of the server", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    ours.register_collector(Box::new(Snapshot(metrics)));
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| {
        tracing::error!(%error, "metrics could not be encoded");
        Problem::internal()
    })?;
    Ok(([(CONTENT_TYPE, TEXT)], text).into_response())
}

/// Exports a snapshot of metrics.
#[derive(Debug)]
struct Snapshot(Vec<Metric>);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        for Metric { name, help, value } in &self.0 {
            let metric_type = match value {
                MetricValue::Gauge(_) | MetricValue::Gauges { .. } => MetricType::Gauge,
                MetricValue::Histogram { .. } => MetricType::Histogram,
                _ => MetricType::Counter,
            };
            let mut metric = encoder.encode_descriptor(name, help, None, metric_type)?;
            match value {
                MetricValue::Counter(count) => {
                    metric.encode_counter::<NoLabelSet, _, u64>(count, None)?;
                }
                MetricValue::Counters { label, counts } => {
                    for (value, count) in counts {
                        let labels = [(*label, *value)];
                        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
                    }
                }
                MetricValue::Gauge(value) => metric.encode_gauge(value)?,
                MetricValue::Gauges { labels: [first, second], values } => {
                    for ([one, two], value) in values {
                        let labels = [(*first, one.as_str()), (*second, two.as_str())];
                        metric.encode_family(&labels)?.encode_gauge(value)?;
                    }
                }
                MetricValue::Histogram { sum, buckets } => {
                    let count = buckets.iter().map(|(_, count)| count).sum();
                    metric.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)?;
                }
                // A kind added by a later version of the core.
                _ => {}
            }
        }
        Ok(())
    }
}

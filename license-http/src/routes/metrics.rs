//! `GET /metrics`: figures for Prometheus, the one answer that is no JSON.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use license_core::change::FeedState;
use license_core::figure::{Figure, FigureValue};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::health;
use crate::problem::Problem;
use crate::state::{HttpState, Shared};

const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers also while the store does not: that is what it is asked for.
pub(super) async fn metrics(State(state): State<HttpState>) -> Result<Response, Problem> {
    let _permit = state.edge.probes.enter()?;
    let Shared { service, validate_seconds, edge, .. } = &*state;
    let up = health::ask(service).await.is_ok();
    let listening = service.feed_state() == FeedState::Listening;
    let mut figures = vec![
        Figure::gauge("store_up", "1 while the store answers", up.into()),
        Figure::gauge(
            "change_feed_listening",
            "1 while this node hears of what others change",
            listening.into(),
        ),
        Figure::gauge(
            "store_outage",
            "1 while validations are answered from memory because the store does not answer",
            service.store_is_down().into(),
        ),
        Figure::histogram("validate_seconds", "How long validations over HTTP take", validate_seconds),
        edge.figure(),
    ];
    figures.extend(service.figures());
    #[cfg(feature = "geography")]
    figures.extend(state.geography.figures());
    #[cfg(feature = "webhooks")]
    figures.extend(state.webhooks.figures());
    let mut registry = Registry::with_prefix("license");
    registry.register("build", "What runs here", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    registry.register_collector(Box::new(Figures(figures)));
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| {
        tracing::error!(%error, "metrics can't be written");
        Problem::internal()
    })?;
    Ok(([(CONTENT_TYPE, TEXT)], text).into_response())
}

/// Figures of one moment.
#[derive(Debug)]
struct Figures(Vec<Figure>);

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        for Figure { name, help, value } in &self.0 {
            let metric_type = match value {
                FigureValue::Gauge(_) => MetricType::Gauge,
                FigureValue::Histogram { .. } => MetricType::Histogram,
                _ => MetricType::Counter,
            };
            let mut metric = encoder.encode_descriptor(name, help, None, metric_type)?;
            match value {
                FigureValue::Counter(count) => {
                    metric.encode_counter::<NoLabelSet, _, u64>(count, None)?;
                }
                FigureValue::Counters { label, counts } => {
                    for (value, count) in counts {
                        let labels = [(*label, *value)];
                        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
                    }
                }
                FigureValue::Gauge(value) => metric.encode_gauge(value)?,
                FigureValue::Histogram { sum, buckets } => {
                    let count = buckets.iter().map(|(_, count)| count).sum();
                    metric.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)?;
                }
                // A kind of later versions of the core.
                _ => {}
            }
        }
        Ok(())
    }
}

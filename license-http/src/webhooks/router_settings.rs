//! Webhook settings of a router.

use std::sync::Arc;

use license_core::metrics::Metric;

use super::destination::Destinations;
use super::metrics::DispatcherMetrics;

/// Settings of the webhook routes: the allowed destinations, and the metrics of a dispatcher in this process.
#[derive(Clone, Debug, Default)]
pub struct Webhooks {
    pub(crate) destinations: Destinations,
    metrics: Option<Arc<DispatcherMetrics>>,
}

impl Webhooks {
    /// Uses these destinations, without a dispatcher in this process.
    #[must_use]
    pub fn elsewhere(destinations: Destinations) -> Self {
        Self { destinations, metrics: None }
    }

    pub(super) fn of_dispatcher(destinations: Destinations, metrics: Arc<DispatcherMetrics>) -> Self {
        Self { destinations, metrics: Some(metrics) }
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        self.metrics.as_ref().map(|metrics| metrics.all()).unwrap_or_default()
    }
}

//! Webhooks: signed events, delivered to endpoints at least once. Needs the feature `webhooks`.
//!
//! - [`Dispatcher`] delivers events. Run one beside the router, or alone.
//! - [`Destinations`] restricts where deliveries may go: by default to public addresses over HTTPS. Addresses
//!   are checked after the host name is resolved.
//!
//! Deliveries follow [Standard Webhooks](https://www.standardwebhooks.com) 1.0. `webhook-id` is the id of
//! the event and the same for each attempt. `webhook-timestamp` and `webhook-signature` belong to the
//! attempt. The body is `{"type", "timestamp", "data"}`. A status of 200 to 299 is success. Redirects are
//! not followed.

mod destination;
mod dispatcher;
mod metrics;
mod public_address;
mod sender;

use std::sync::Arc;

use license_core::metrics::Metric;

use metrics::DispatcherMetrics;

pub use destination::{DestinationError, Destinations, NameResolver};
pub use dispatcher::Dispatcher;
pub use ipnet::IpNet;
pub use sender::SenderError;

/// Settings of the webhook routes: the allowed destinations, and the metrics of a dispatcher in this process.
#[derive(Clone, Debug, Default)]
pub struct Webhooks {
    pub(crate) destinations: Destinations,
    metrics: Option<Arc<DispatcherMetrics>>,
}

impl Webhooks {
    /// Uses these destinations. For processes whose dispatcher runs in another process.
    #[must_use]
    pub fn elsewhere(destinations: Destinations) -> Self {
        Self { destinations, metrics: None }
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        self.metrics.as_ref().map(|metrics| metrics.all()).unwrap_or_default()
    }
}

//! Writes events for unusual usage.

use std::time::Duration;

use async_trait::async_trait;
use license_core::job::{BackgroundJob, Shutdown};
use license_core::service::EventService;

use super::rounds::repeat;

/// Days of licenses per batch. Each is a transaction.
const BATCH: u32 = 8;

/// Writes events for licenses with unusual daily usage.
#[derive(Debug)]
pub struct AnomaliesJob {
    /// Service of the events.
    pub events: EventService,
    /// Interval between scans.
    pub every: Duration,
}

#[async_trait]
impl BackgroundJob for AnomaliesJob {
    fn name(&self) -> &'static str {
        "anomalies"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown) {
        let Self { events, every } = *self;
        repeat(shutdown, every, "the scan for unusual usage", Some(1), || events.write_anomaly_events(BATCH))
            .await;
    }
}

//! Writes events for unusual usage.

use std::time::Duration;

use async_trait::async_trait;
use license_core::job::{BackgroundJob, JobReport, Shutdown};
use license_core::service::{ClockService, EventService};

use super::rounds::repeat;

/// Days of licenses per batch. Each is a transaction.
const BATCH: u32 = 8;

/// Writes events for licenses with unusual daily usage.
#[derive(Debug)]
pub struct AnomaliesJob {
    /// Time for the job, while the clock is plausible.
    pub clock: ClockService,
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

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { clock, events, every } = *self;
        let batch = |now| events.write_anomaly_events(now, BATCH);
        repeat(&clock, (shutdown, report), every, ("the scan for unusual usage", Some(1)), batch).await;
    }
}

//! Writes events for licenses that expire.

use std::time::Duration;

use async_trait::async_trait;
use license_core::job::{BackgroundJob, JobReport, Shutdown};
use license_core::license::Reminders;
use license_core::service::{ClockService, EventService};

use super::rounds::repeat;

/// Licenses per batch. The store decides how many it writes in one transaction.
pub(super) const BATCH: u32 = 100;

/// Writes `license.expiring` and `license.expired`.
#[derive(Debug)]
pub struct ExpiryJob {
    /// Time for the job, while the clock is plausible.
    pub clock: ClockService,
    /// Service of the events.
    pub events: EventService,
    /// Interval between scans: the maximum delay of an event.
    pub every: Duration,
    /// When a license is "expiring".
    pub reminders: Reminders,
}

#[async_trait]
impl BackgroundJob for ExpiryJob {
    fn name(&self) -> &'static str {
        "expiry"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { clock, events, every, reminders } = *self;
        let batch = |now| events.write_expiry_events(now, &reminders, BATCH);
        repeat(&clock, (shutdown, report), every, ("writing expiry events", None), batch).await;
    }
}

//! Writes events for licenses that expire.

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use license_core::job::{BackgroundJob, Shutdown};
use license_core::service::EventService;

use super::rounds::repeat;

/// Licenses per batch. The store decides how many it writes in one transaction.
pub(super) const BATCH: u32 = 100;

/// Writes `license.expiring` and `license.expired`.
#[derive(Debug)]
pub struct ExpiryJob {
    /// Service of the events.
    pub events: EventService,
    /// Interval between scans: the maximum delay of an event.
    pub every: Duration,
    /// How long before its end a license is "expiring".
    pub expiring: TimeDelta,
}

#[async_trait]
impl BackgroundJob for ExpiryJob {
    fn name(&self) -> &'static str {
        "expiry"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown) {
        let Self { events, every, expiring } = *self;
        repeat(shutdown, every, "writing expiry events", None, || {
            events.write_expiry_events(expiring, BATCH)
        })
        .await;
    }
}

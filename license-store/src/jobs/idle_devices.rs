//! Releases idle devices.

use std::time::Duration;

use async_trait::async_trait;
use license_core::job::{BackgroundJob, JobReport, Shutdown};
use license_core::service::{ActivationService, ClockService};

use super::rounds::repeat;

/// Licenses of each plan per batch. Each is a transaction.
pub(super) const BATCH: u32 = 8;

/// Frees the slots of devices that were not seen for the time that their plan allows.
#[derive(Debug)]
pub struct IdleDevicesJob {
    /// Time for the job, while the clock is plausible.
    pub clock: ClockService,
    /// Service of the activations.
    pub activations: ActivationService,
    /// Interval between scans.
    pub every: Duration,
}

#[async_trait]
impl BackgroundJob for IdleDevicesJob {
    fn name(&self) -> &'static str {
        "idle devices"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { clock, activations, every } = *self;
        let batch = |now| activations.release_idle(now, BATCH);
        repeat(&clock, (shutdown, report), every, ("the release of idle devices", Some(1)), batch).await;
    }
}

//! Frees slots of leases that were handed back, and deletes leases that are over.

use std::time::Duration;

use async_trait::async_trait;
use license_core::job::{BackgroundJob, JobReport, Shutdown};
use license_core::service::{ClockService, LeaseService};

use super::rounds::repeat;

/// Licenses per batch. Each is a transaction.
pub(super) const BATCH: u32 = 8;
/// Leases deleted per transaction.
const PRUNED: u32 = 500;

/// Frees the slots of devices whose leases were handed back and are over.
#[derive(Debug)]
pub struct ReturnedLeasesJob {
    /// Time for the job, while the clock is plausible.
    pub clock: ClockService,
    /// Service of the leases.
    pub leases: LeaseService,
    /// Interval between scans.
    pub every: Duration,
}

#[async_trait]
impl BackgroundJob for ReturnedLeasesJob {
    fn name(&self) -> &'static str {
        "returned leases"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { clock, leases, every } = *self;
        let batch = |now| leases.release_returned(now, BATCH);
        repeat(&clock, (shutdown, report), every, ("the release of returned leases", Some(1)), batch).await;
    }
}

/// Deletes leases that are over.
#[derive(Debug)]
pub struct LeaseRetentionJob {
    /// Time for the job, while the clock is plausible.
    pub clock: ClockService,
    /// Service of the leases.
    pub leases: LeaseService,
}

#[async_trait]
impl BackgroundJob for LeaseRetentionJob {
    fn name(&self) -> &'static str {
        "lease retention"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { clock, leases } = *self;
        let prune = |now| leases.prune(now, PRUNED);
        repeat(
            &clock,
            (shutdown, report),
            super::retention::INTERVAL,
            ("the deletion of old leases", Some(3)),
            prune,
        )
        .await;
    }
}

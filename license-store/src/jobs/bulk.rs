//! Runs bulk jobs.

use std::time::Duration;

use async_trait::async_trait;
use license_core::job::{BackgroundJob, JobReport, Shutdown};
use license_core::service::{BulkService, RanStep};
use tokio::time::{Instant, sleep};

use super::rounds::{MIN_PAUSE, until};

/// Licenses of one step. Each is a transaction.
const STEP: u32 = 16;
/// Interval at which a node looks for new jobs.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// Runs bulk jobs, a few licenses at a time. Running jobs take turns. A job that was interrupted continues.
#[derive(Debug)]
pub struct BulkJobsJob {
    /// The service that runs them.
    pub bulk: BulkService,
}

#[async_trait]
impl BackgroundJob for BulkJobsJob {
    fn name(&self) -> &'static str {
        "bulk jobs"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { bulk } = *self;
        let rounds = async {
            let mut last = None;
            loop {
                let begun = Instant::now();
                let step = bulk.run_step(last.take(), STEP).await;
                report.ran(&step);
                match step {
                    // As long as the step took, so that other writers can proceed.
                    Ok(Some(RanStep { job, licenses })) => {
                        last = Some(job);
                        let pause = if licenses == 0 { EVERY } else { begun.elapsed().max(MIN_PAUSE) };
                        sleep(pause).await;
                    }
                    Ok(None) => sleep(EVERY).await,
                    Err(error) => {
                        tracing::warn!(%error, "a bulk job failed; it will be retried");
                        sleep(EVERY).await;
                    }
                }
            }
        };
        until(shutdown, rounds).await;
    }
}

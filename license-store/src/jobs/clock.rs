//! Watches the clock, on which other jobs depend.

use std::time::Duration;

use async_trait::async_trait;
use license_core::job::{BackgroundJob, JobReport, Shutdown};
use license_core::service::{ClockService, ClockState};
use tokio::time::{Instant, sleep};

use super::rounds::until;

/// Interval between looks at the heartbeat while the clock is plausible.
const LOOK_INTERVAL: Duration = Duration::from_mins(1);
/// Interval between readings of the clock. While it is implausible, each reading includes a look.
const INTERVAL: Duration = Duration::from_secs(5);

/// Compares the clock with the heartbeat of the database, and logs when it becomes implausible or plausible.
#[derive(Debug)]
pub struct ClockJob {
    /// The clock.
    pub clock: ClockService,
}

#[async_trait]
impl BackgroundJob for ClockJob {
    fn name(&self) -> &'static str {
        "clock"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let rounds = async {
            let (mut was_plausible, mut next_look) = (true, Instant::now());
            loop {
                if Instant::now() >= next_look || self.clock.plausible_now().is_none() {
                    next_look = Instant::now() + LOOK_INTERVAL;
                    let look = self.clock.look().await;
                    report.ran(&look);
                    match look {
                        Ok(state) => {
                            log_change(was_plausible, state);
                            was_plausible = state.is_plausible;
                        }
                        Err(error) => {
                            tracing::warn!(%error, "reading the heartbeat of the clock failed; it will be retried");
                        }
                    }
                }
                sleep(INTERVAL).await;
            }
        };
        until(shutdown, rounds).await;
    }
}

fn log_change(was_plausible: bool, ClockState { now, heartbeat, is_plausible }: ClockState) {
    let heartbeat = heartbeat.map(tracing::field::display);
    match (was_plausible, is_plausible) {
        (true, false) => tracing::warn!(
            %now,
            heartbeat,
            "the clock is implausible: retention, idle devices and expiry events are paused. Correct the clock; if it is right, run `license-server clock accept`"
        ),
        (false, true) => tracing::info!(%now, heartbeat, "the clock is plausible again: paused jobs resume"),
        _ => {}
    }
}

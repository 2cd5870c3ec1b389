//! Watches the clock, on which other jobs depend.

use std::time::Duration;

use async_trait::async_trait;
use license_core::job::{BackgroundJob, Shutdown};
use license_core::service::{ClockService, ClockState};
use tokio::time::sleep;

use super::rounds::until;

/// Interval between looks at the heartbeat.
const INTERVAL: Duration = Duration::from_mins(1);
/// Interval while the clock is implausible: the time until an accepted clock is noticed.
const PAUSED_INTERVAL: Duration = Duration::from_secs(5);

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

    async fn run(self: Box<Self>, shutdown: Shutdown) {
        let rounds = async {
            let mut was_plausible = true;
            loop {
                match self.clock.look().await {
                    Ok(state) => {
                        log_change(was_plausible, state);
                        was_plausible = state.is_plausible;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "reading the heartbeat of the clock failed; it will be retried");
                    }
                }
                sleep(if was_plausible { INTERVAL } else { PAUSED_INTERVAL }).await;
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

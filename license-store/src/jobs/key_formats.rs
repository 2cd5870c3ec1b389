//! Reloads the formats of imported keys, which other nodes may have declared.

use std::time::Duration;

use async_trait::async_trait;
use license_core::job::{BackgroundJob, JobReport, Shutdown};
use license_core::service::Services;
use tokio::time::sleep;

use super::rounds::until;

/// Reloads the formats of imported keys at an interval.
#[derive(Debug)]
pub struct KeyFormatsJob {
    /// Services that parse keys.
    pub services: Services,
    /// Interval: the maximum time that keys of a new format are unknown to this node.
    pub every: Duration,
}

#[async_trait]
impl BackgroundJob for KeyFormatsJob {
    fn name(&self) -> &'static str {
        "key formats"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { services, every } = *self;
        let rounds = async {
            loop {
                let reloaded = services.reload_key_formats().await;
                report.ran(&reloaded);
                if let Err(error) = reloaded {
                    tracing::warn!(%error, "loading the formats of imported keys failed; it will be retried");
                }
                sleep(every).await;
            }
        };
        until(shutdown, rounds).await;
    }
}

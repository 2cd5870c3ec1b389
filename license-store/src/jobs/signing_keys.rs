//! Keeps the signing keys of a node current, and retires keys.

use std::time::Duration;

use async_trait::async_trait;
use license_core::job::{BackgroundJob, JobReport, Shutdown};
use license_core::service::SigningKeyService;
use license_core::store::{ChangeNotice, ChangeStream};
use tokio::time::sleep;

use super::reload::reload_on;
use super::rounds::until;

/// Interval at which keys whose tokens have ended are retired.
const RETIRE_EVERY: Duration = Duration::from_hours(1);

/// Reads the signing keys again when another node has changed them, and retires keys whose tokens have ended.
pub struct SigningKeysJob {
    /// The keys of this node.
    pub signing_keys: SigningKeyService,
    /// The changes of all nodes.
    pub changes: Box<dyn ChangeStream>,
}

impl std::fmt::Debug for SigningKeysJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeysJob").field("signing_keys", &self.signing_keys).finish_non_exhaustive()
    }
}

#[async_trait]
impl BackgroundJob for SigningKeysJob {
    fn name(&self) -> &'static str {
        "signing keys"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { signing_keys, mut changes } = *self;
        let reload = || async { signing_keys.reload().await.map(drop) };
        let kind = ChangeNotice::SigningKeysChanged;
        let reloads = reload_on(&mut *changes, kind, "the signing keys", &report, reload);
        let retirements = async {
            loop {
                let retired = signing_keys.retire().await;
                report.ran(&retired);
                if let Err(error) = retired {
                    tracing::warn!(%error, "retiring signing keys failed; it will be retried");
                }
                sleep(RETIRE_EVERY).await;
            }
        };
        until(shutdown, async { tokio::join!(reloads, retirements).0 }).await;
    }
}

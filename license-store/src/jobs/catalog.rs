//! Keeps the catalog of a node current.

use std::time::Duration;

use async_trait::async_trait;
use license_core::job::{BackgroundJob, Shutdown};
use license_core::service::CatalogService;
use license_core::store::{ChangeNotice, ChangeStream};
use tokio::time::{sleep, timeout};

use super::rounds::until;

/// Maximum time between two looks, for changes that are not announced.
const EVERY: Duration = Duration::from_secs(5);
/// Pause after a failed look.
const RETRY: Duration = Duration::from_millis(100);

/// Reads the catalog again when another node has changed it.
pub struct CatalogJob {
    /// The catalog of this node.
    pub catalog: CatalogService,
    /// The changes of all nodes.
    pub changes: Box<dyn ChangeStream>,
}

impl std::fmt::Debug for CatalogJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CatalogJob").field("catalog", &self.catalog).finish_non_exhaustive()
    }
}

#[async_trait]
impl BackgroundJob for CatalogJob {
    fn name(&self) -> &'static str {
        "catalog"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown) {
        let Self { catalog, mut changes } = *self;
        let rounds = async {
            loop {
                while let Err(error) = catalog.reload().await {
                    tracing::warn!(%error, "loading the plans failed; it will be retried");
                    sleep(RETRY).await;
                }
                // Without a notice, the time is up.
                let _ = timeout(EVERY, changed(&mut *changes)).await;
            }
        };
        until(shutdown, rounds).await;
    }
}

/// Waits until the catalog may have changed.
async fn changed(changes: &mut dyn ChangeStream) {
    loop {
        if matches!(changes.next().await, ChangeNotice::CatalogChanged | ChangeNotice::Missed) {
            return;
        }
    }
}

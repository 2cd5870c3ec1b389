//! The cache and the recorder in front of a store.

use std::sync::Arc;
use std::time::Duration;

use license_core::clock::RngError;
use license_core::service::ClockAndRng;
use license_core::store::{LicenseStore, StoreHealth};

use crate::cache::{Cache, CacheOptions};
use crate::group_commit::{GroupCommit, GroupCommitOptions};

/// Maximum time that a shutdown waits for validations that are not recorded yet.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// A store with a cache in front of group commit.
#[derive(Debug)]
pub(super) struct Layers {
    /// The outermost layer.
    pub(super) licenses: Arc<dyn LicenseStore>,
    cache: Arc<Cache>,
    recorder: Arc<GroupCommit>,
    store: Arc<dyn LicenseStore>,
}

impl Layers {
    pub(super) fn new(
        store: Arc<dyn LicenseStore>,
        sources: &ClockAndRng,
        cache: CacheOptions,
        recording: GroupCommitOptions,
    ) -> Result<Self, RngError> {
        let recorder =
            Arc::new(sources.with_rng(|rng| GroupCommit::new(Arc::clone(&store), recording, rng))?);
        let cache = Arc::new(Cache::new(Arc::clone(&recorder) as _, sources.clock(), cache));
        Ok(Self { licenses: Arc::clone(&cache) as _, cache, recorder, store })
    }

    pub(super) fn health(&self) -> [Arc<dyn StoreHealth>; 2] {
        [Arc::clone(&self.cache) as _, Arc::clone(&self.recorder) as _]
    }

    /// Writes validations that are not recorded yet, and closes the store.
    pub(super) async fn close(&self) {
        if tokio::time::timeout(DRAIN_TIME, self.recorder.drain()).await.is_err() {
            let lost = self.recorder.waiting();
            tracing::error!(lost, "the database is down: validations that were answered are not recorded");
        }
        self.store.close().await;
    }
}

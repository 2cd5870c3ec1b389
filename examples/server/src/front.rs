//! What stands between the service and the database: the cache, and the recorder of validations.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use license_core::clock::SystemRng;
use license_core::store::LicenseStore;
use license_store::cache::Cache;
use license_store::group_commit::GroupCommit;

use crate::flags::ValidationFlags;

/// How long a stop waits for validations that are not recorded yet.
const CLOSE_TIME: Duration = Duration::from_secs(10);

type Recorder = Arc<GroupCommit<Arc<dyn LicenseStore>>>;

/// A database with what stands in front of it.
#[derive(Debug)]
pub(crate) struct Front {
    /// The store for the service.
    pub(crate) store: Arc<dyn LicenseStore>,
    recorder: Recorder,
}

impl Front {
    /// In front of `database`, which works at so many commits at once.
    pub(crate) fn new(
        database: Arc<dyn LicenseStore>,
        flags: &ValidationFlags,
        commits: NonZero<usize>,
    ) -> Result<Self, String> {
        let recorder = GroupCommit::new(database, flags.group_commit(commits), &mut SystemRng);
        let recorder = Arc::new(recorder.map_err(|error| error.to_string())?);
        let store = Arc::new(Cache::new(Arc::clone(&recorder), flags.cache()));
        Ok(Self { store, recorder })
    }

    /// Records what waits. Where the database is down for longer, says how much is lost.
    pub(crate) async fn close(&self) {
        if tokio::time::timeout(CLOSE_TIME, self.recorder.close()).await.is_err() {
            let lost = self.recorder.waiting();
            tracing::error!(lost, "validations were answered that can't be recorded: the database is down");
        }
    }
}

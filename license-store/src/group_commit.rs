//! Commits the validations of concurrent calls together.

mod committer;
mod options;
mod queue;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::command::{Command, CommandContext, CommandOutcome, Idempotency, NewLicense, UsedKey};
use license_core::key::KeyDigest;
use license_core::license::{LicenseDetail, LicenseId};
use license_core::metrics::Metric;
use license_core::store::{
    ChangeStream, Created, LicenseChanged, LicenseQuery, LicenseStore, Page, StoreError, StoreHealth,
    StoreProfile, StreamState,
};
use license_core::usage::{BatchId, Validation, WriterId};
use license_core::validation::{Claim, LicenseSnapshot};
use rand::TryCryptoRng;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use committer::Committer;
pub use options::{GroupCommitOptions, Recording};

/// Collects the validations of concurrent calls and commits them together: while one commit is under way, the
/// next batch collects. Forwards all other calls to the store.
///
/// While the store is down, up to [`GroupCommitOptions::max_buffered`] validations wait in memory, and their
/// callers are answered. They are written once the store answers again, in order within each committer. A
/// killed process loses them.
pub struct GroupCommit {
    committer: Arc<Committer>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for GroupCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Committer { store, options, .. } = &*self.committer;
        f.debug_struct("GroupCommit").field("store", store).field("options", options).finish_non_exhaustive()
    }
}

/// The tasks commit what waits, and end.
impl Drop for GroupCommit {
    fn drop(&mut self) {
        self.committer.queue.close();
    }
}

impl GroupCommit {
    /// Creates a group commit in front of `store`. `rng` generates the ids of the committers, by which the
    /// store recognizes a batch that is sent again after its answer was lost.
    ///
    /// # Errors
    /// Returns the error of `rng`.
    ///
    /// # Panics
    /// Panics outside a tokio runtime, which runs the committers.
    pub fn new<R: TryCryptoRng + ?Sized>(
        store: Arc<dyn LicenseStore>,
        options: GroupCommitOptions,
        rng: &mut R,
    ) -> Result<Self, R::Error> {
        let commits = options.commits.unwrap_or(store.profile().concurrent_commits);
        let ids = (0..commits.get()).map(|_| WriterId::generate(rng)).collect::<Result<Vec<_>, _>>()?;
        let committer = Arc::new(Committer::new(store, options));
        let run = |id| tokio::spawn(Arc::clone(&committer).run(id));
        let tasks = Mutex::new(ids.into_iter().map(run).collect());
        Ok(Self { committer, tasks })
    }

    /// Commits what waits, and ends. Later validations are recorded one call at a time. While the store is
    /// down this waits for it; if you stop waiting, [`waiting`](Self::waiting) says how many validations are
    /// lost.
    pub async fn drain(&self) {
        self.committer.queue.close();
        // A task leaves the list when it has ended, so a second call waits as well, even if the first one
        // gives up.
        let mut tasks = self.tasks.lock().await;
        while let Some(task) = tasks.last_mut() {
            // It does not panic. If the runtime ends it, nothing more can be done.
            let _ = task.await;
            tasks.pop();
        }
    }

    /// Returns the number of validations that are not recorded yet, including those of commits that are under
    /// way.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.committer.queue.depth()
    }

    fn store(&self) -> &dyn LicenseStore {
        &*self.committer.store
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LicenseStore for GroupCommit {
    async fn create_all(&self, new: &[NewLicense]) -> Result<Created, StoreError> {
        self.store().create_all(new).await
    }

    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        self.store().create(new).await
    }

    async fn find_used_key(&self, asked: &Idempotency) -> Result<Option<UsedKey>, StoreError> {
        self.store().find_used_key(asked).await
    }

    async fn prune_used_keys(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.store().prune_used_keys(before, limit).await
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<CommandOutcome, StoreError> {
        self.store().execute(id, command, context).await
    }

    /// Validations that already have a batch are forwarded.
    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError> {
        if batch.is_some() || validations.is_empty() {
            return self.store().record(validations, batch).await;
        }
        self.committer.record(validations).await
    }

    async fn find_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
    ) -> Result<Option<LicenseSnapshot>, StoreError> {
        self.store().find_by_key(digest, claim).await
    }

    async fn get(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        self.store().get(id).await
    }

    async fn list(&self, query: &LicenseQuery) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
        self.store().list(query).await
    }

    async fn put_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.store().put_if_absent(name, value).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store().ping().await
    }

    fn changes(&self) -> Box<dyn ChangeStream> {
        self.store().changes()
    }

    fn stream_state(&self) -> StreamState {
        self.store().stream_state()
    }

    fn invalidate(&self, changes: &[LicenseChanged]) {
        self.store().invalidate(changes);
    }

    fn profile(&self) -> StoreProfile {
        self.store().profile()
    }

    /// Commits what waits, then closes the store.
    async fn close(&self) {
        self.drain().await;
        self.store().close().await;
    }
}

impl StoreHealth for GroupCommit {
    fn is_down(&self) -> bool {
        self.committer.queue.is_down()
    }

    fn metrics(&self) -> Vec<Metric> {
        let Committer { queue, batch_sizes, durations, dropped, .. } = &*self.committer;
        vec![
            Metric::histogram("commit_validations", "Validations per commit", batch_sizes),
            Metric::histogram("commit_seconds", "Duration of a commit of validations", durations),
            Metric::gauge("commit_waiting", "Validations that are not recorded yet", queue.depth() as u64),
            Metric::counter(
                "commit_dropped",
                "Validations that were answered but not recorded, because the store was down for too long",
                dropped,
            ),
        ]
    }
}

//! A store in front of a store, which commits many validations at once.

mod queue;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::activation::{ActivationId, ActivationKind};
use license_core::change::{ChangeFeed, FeedState};
use license_core::command::{Command, CommandContext, Idempotency, NewLicense, Outcome};
use license_core::event::Event;
use license_core::figure::{Figure, Histogram};
use license_core::key::KeyDigest;
use license_core::license::{LicenseDetail, LicenseId};
use license_core::seen::{ActivationDetail, IdleQuery};
use license_core::store::{Created, LicenseFilter, LicenseStore, Page, PageRequest, StoreError};
use license_core::usage::{
    BatchId, RecorderId, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport,
    UsageRetention, Validation,
};
use license_core::verdict::{Claim, Standing};
use rand::TryCryptoRng;
use tokio::sync::{Mutex, oneshot};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use queue::{Batch, Call, Pushed, Queue, Told};

/// Between two tries of a batch that was not recorded.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// A try that takes longer is given up and made again: a connection that was cut may never tell.
const GIVEN_UP: Duration = Duration::from_secs(30);
/// Buffered validations gather for so long, so that a commit is one of many.
const GATHERING: Duration = Duration::from_millis(25);
/// The log tells of dropped validations each time that so many more are gone.
const DROPS_TOLD: u64 = 10_000;

/// When a validation is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// After the commit that counts it.
    #[default]
    Durable,
    /// At once. It is written within 100 ms of a store that keeps up; what a killed process had not written yet is lost.
    Buffered,
}

/// How validations are gathered and committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupCommitOptions {
    /// When a validation is answered.
    pub recording: Recording,
    /// Most validations of one commit, but that one call is never divided.
    pub batch: NonZero<usize>,
    /// Commits that are under way at once, at most. What comes meanwhile gathers for the next.
    pub commits: NonZero<usize>,
    /// A commit that takes longer is waited for no longer: the store is taken to be down, and the answers are given.
    pub deadline: Duration,
    /// Validations that are kept in memory while the store is down. Of more, the oldest are dropped, counted and logged.
    /// 0: none is kept, and a validation that can't be recorded is an error. Also the most that
    /// [`Recording::Buffered`] holds: then calls wait for the commit.
    pub kept: usize,
}

impl Default for GroupCommitOptions {
    fn default() -> Self {
        Self {
            recording: Recording::default(),
            batch: const { NonZero::new(4_096).unwrap() },
            commits: NonZero::<usize>::MIN,
            deadline: Duration::from_secs(1),
            kept: 100_000,
        }
    }
}

/// Gathers the validations of concurrent calls and commits them together: while one commit is under way, the next one
/// gathers. Passes all else on.
///
/// Where the store is down, validations are kept in memory, up to [`GroupCommitOptions::kept`], and their callers are
/// answered; they are written once, when it answers again, in order but for commits that are under way side by side.
/// [`LicenseStore::is_down`] tells. What is kept is lost where the process ends by force before.
pub struct GroupCommit<S: LicenseStore> {
    shared: Arc<Shared<S>>,
    committers: Mutex<Vec<JoinHandle<()>>>,
}

/// One try to record a batch. What takes too long ends where this is dropped.
struct Attempt(JoinHandle<Told>);

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Shared<S> {
    inner: Arc<S>,
    options: GroupCommitOptions,
    queue: Queue,
    batches: Histogram,
    commits: Histogram,
    dropped: AtomicU64,
    /// Of them, those for which there was no room since the store went down.
    dropped_while_down: AtomicU64,
}

impl<S: LicenseStore> fmt::Debug for GroupCommit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { inner, options, .. } = &*self.shared;
        f.debug_struct("GroupCommit").field("inner", inner).field("options", options).finish_non_exhaustive()
    }
}

/// What still waits is committed, by tasks that end then.
impl<S: LicenseStore> Drop for GroupCommit<S> {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl<S: LicenseStore> GroupCommit<S> {
    /// Gathers in front of `inner`. The generator names the batches, so that one whose answer was lost is not recorded twice.
    ///
    /// # Errors
    /// That of the generator.
    ///
    /// # Panics
    /// Outside a tokio runtime: it commits in tasks of its own.
    pub fn new<R: TryCryptoRng + ?Sized>(
        inner: S,
        options: GroupCommitOptions,
        rng: &mut R,
    ) -> Result<Self, R::Error> {
        let recorders =
            (0..options.commits.get()).map(|_| RecorderId::generate(rng)).collect::<Result<Vec<_>, _>>()?;
        let shared = Arc::new(Shared {
            inner: Arc::new(inner),
            options,
            queue: Queue::default(),
            batches: Histogram::new(Histogram::SIZES),
            commits: Histogram::new(Histogram::SECONDS),
            dropped: AtomicU64::default(),
            dropped_while_down: AtomicU64::default(),
        });
        let committer = |recorder| tokio::spawn(Arc::clone(&shared).commit_all(recorder));
        let committers = Mutex::new(recorders.into_iter().map(committer).collect());
        Ok(Self { shared, committers })
    }

    /// Commits what waits, and ends. Later calls of `record` are passed on one by one. While the store is down this goes on
    /// until it answers; whoever does not wait for that learns from [`waiting`](Self::waiting) what is lost.
    pub async fn close(&self) {
        self.shared.queue.close();
        // Each leaves the list when it has ended, so that another who closes waits as long, also if this one gives up.
        let mut committers = self.committers.lock().await;
        while let Some(committer) = committers.last_mut() {
            // It does not panic; where the runtime ends it, nothing more can be done.
            let _ = committer.await;
            committers.pop();
        }
    }

    /// Validations that are not recorded yet: those that wait for a commit, and those of the commits that are under way.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue.depth()
    }
}

impl<S: LicenseStore> Shared<S> {
    /// Commits batch after batch, until the queue is closed and empty.
    async fn commit_all(self: Arc<Self>, recorder: RecorderId) {
        let mut number = 0;
        loop {
            self.queue.filled().await;
            if self.options.recording == Recording::Buffered
                && self.queue.gathered() < self.options.batch.get()
            {
                sleep(GATHERING).await;
            }
            // Of calls that are ready to run the first has woken this one: the others come along.
            yield_now().await;
            match self.queue.take(self.options.batch.get()) {
                None => return,
                // Another committer was sooner.
                Some(batch) if batch.calls.is_empty() => self.queue.reuse(batch),
                Some(batch) => {
                    number += 1;
                    self.commit(batch, BatchId { recorder, number }).await;
                }
            }
        }
    }

    /// Commits one batch, however long it takes, and answers its callers.
    async fn commit(&self, mut batch: Batch, id: BatchId) {
        let mut deadline = None;
        while !batch.calls.is_empty() {
            let begun = Instant::now();
            let Batch { calls, validations } = &mut batch;
            let size = validations.len();
            validations.make_contiguous();
            let shared = Arc::new(mem::take(validations));
            let result = {
                // In a task of its own: a store that holds up its thread holds up nobody who waits for the deadline, and one that
                // panics ends this batch, not all that come after.
                let (inner, validations) = (Arc::clone(&self.inner), Arc::clone(&shared));
                let mut attempt =
                    Attempt(tokio::spawn(
                        async move { inner.record(validations.as_slices().0, Some(id)).await },
                    ));
                let until = *deadline.get_or_insert(begun + self.options.deadline);
                // What is contended until then is down, also where each try is answered at once.
                let overdue = begun >= until && self.options.kept > 0;
                let in_time = if overdue { None } else { timeout_at(until, &mut attempt.0).await.ok() };
                if in_time.is_none() && self.options.kept > 0 {
                    self.note_down(calls);
                    deadline = None;
                    timeout(GIVEN_UP, &mut attempt.0).await.ok()
                } else {
                    in_time
                }
            };
            *validations = Arc::unwrap_or_clone(shared);
            let error = match result {
                Some(Ok(Ok(()))) => {
                    #[expect(clippy::cast_precision_loss, reason = "batches are small numbers")]
                    self.batches.observe(size as f64);
                    self.commits.observe_duration(begun.elapsed());
                    self.queue.finished(size);
                    self.note_up();
                    batch.tell_all();
                    return self.queue.reuse(batch);
                }
                Some(Ok(Err(error))) => error,
                Some(Err(ended)) => {
                    return self.fail(batch, StoreError::Unavailable { source: ended.into() });
                }
                None => StoreError::Unavailable { source: "it did not answer in time".into() },
            };
            if !error.is_retryable() {
                self.note_up();
            }
            match error {
                error if error.is_retryable() && self.options.kept > 0 => {
                    if matches!(error, StoreError::Unavailable { .. }) {
                        self.note_down(&mut batch.calls);
                        // Its callers are answered. A later try is late by itself only: others may have succeeded since.
                        deadline = None;
                    }
                    sleep(RETRY_PAUSE).await;
                }
                error => return self.fail(batch, error),
            }
        }
    }

    /// These are not recorded, and will not be.
    fn fail(&self, mut batch: Batch, error: StoreError) {
        let error = Arc::new(error);
        self.queue.finished(batch.validations.len());
        let mut lost = 0;
        for call in &mut batch.calls {
            if call.waiter.is_none() {
                lost += call.validations;
            }
            call.tell(Err(StoreError::shared(&error)));
        }
        if lost > 0 {
            tracing::error!(%error, lost, "validations that were answered can't be recorded");
            self.dropped.fetch_add(lost as u64, Ordering::Relaxed);
        }
    }

    /// The store does not answer: nobody is kept waiting for it.
    fn note_down(&self, calls: &mut VecDeque<Call>) {
        let news = self.queue.set_down(true);
        for call in calls {
            call.tell(Ok(()));
        }
        if news {
            tracing::warn!("validations can't be recorded: they are kept in memory until the store answers");
        }
    }

    fn note_up(&self) {
        if self.queue.set_down(false) {
            let dropped = self.dropped_while_down.swap(0, Ordering::Relaxed);
            tracing::info!(waiting = self.queue.depth(), dropped, "validations are recorded again");
        }
    }

    fn note_dropped(&self, dropped: usize) {
        let dropped = dropped as u64;
        if dropped > 0 {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
            let before = self.dropped_while_down.fetch_add(dropped, Ordering::Relaxed);
            if before == 0 || before / DROPS_TOLD != (before + dropped) / DROPS_TOLD {
                tracing::error!(
                    dropped = before + dropped,
                    "too many validations wait: the oldest are dropped"
                );
            }
        }
    }

    async fn record(&self, validations: &[Validation]) -> Told {
        let GroupCommitOptions { recording, kept, .. } = self.options;
        let waits = recording == Recording::Durable || self.queue.depth() >= kept;
        let (waiter, told) = if waits { Some(oneshot::channel()).unzip() } else { (None, None) };
        match self.queue.push(validations, waiter, kept) {
            Pushed::Queued => {}
            Pushed::Kept(dropped) => self.note_dropped(dropped),
            Pushed::Refused => return self.inner.record(validations, None).await,
        }
        match told {
            None => Ok(()),
            Some(told) => {
                told.await.unwrap_or_else(|error| Err(StoreError::Unavailable { source: Box::new(error) }))
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: LicenseStore> LicenseStore for GroupCommit<S> {
    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        self.shared.inner.create(new).await
    }

    async fn created(&self, idempotency: &Idempotency) -> Result<Option<Created>, StoreError> {
        self.shared.inner.created(idempotency).await
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        self.shared.inner.execute(id, command, context).await
    }

    /// What has a batch of its own is passed on as it is.
    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError> {
        if batch.is_some() || validations.is_empty() {
            return self.shared.inner.record(validations, batch).await;
        }
        self.shared.record(validations).await
    }

    async fn license(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        self.shared.inner.license(id).await
    }

    async fn license_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        self.shared.inner.license_by_key(digest, claim, now).await
    }

    fn recall(&self, digest: &KeyDigest, claim: &Claim, now: DateTime<Utc>) -> Option<Standing> {
        self.shared.inner.recall(digest, claim, now)
    }

    fn is_down(&self) -> bool {
        self.shared.queue.is_down() || self.shared.inner.is_down()
    }

    fn figures(&self) -> Vec<Figure> {
        let Shared { queue, batches, commits, dropped, .. } = &*self.shared;
        let mut figures = vec![
            Figure::histogram("commit_validations", "Validations of one commit", batches),
            Figure::histogram("commit_seconds", "How long a commit of validations takes", commits),
            Figure::gauge("commit_waiting", "Validations that are not recorded yet", queue.depth() as u64),
            Figure::counter(
                "commit_dropped",
                "Validations that were answered and not recorded, because the store was down for too long",
                dropped,
            ),
        ];
        figures.extend(self.shared.inner.figures());
        figures
    }

    async fn licenses(
        &self,
        filter: &LicenseFilter,
        now: DateTime<Utc>,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
        self.shared.inner.licenses(filter, now, page).await
    }

    async fn activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, StoreError> {
        self.shared.inner.activations(id, kind, page).await
    }

    async fn idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError> {
        self.shared.inner.idle(query).await
    }

    async fn events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.shared.inner.events(id, after, limit).await
    }

    async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        self.shared.inner.usage(id, query).await
    }

    async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        self.shared.inner.usage_of_all(query).await
    }

    async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        self.shared.inner.rollups(filter, page).await
    }

    async fn forget_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.shared.inner.forget_usage(retention, now, limit).await
    }

    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError> {
        self.shared.inner.plans_in_use().await
    }

    async fn keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.shared.inner.keep_first(name, value).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.shared.inner.ping().await
    }

    fn changes(&self) -> Box<dyn ChangeFeed> {
        self.shared.inner.changes()
    }

    fn feed_state(&self) -> FeedState {
        self.shared.inner.feed_state()
    }
}

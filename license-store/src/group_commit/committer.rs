//! The committers, which take batches from the queue and record them.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use license_core::metrics::Histogram;
use license_core::store::{LicenseStore, StoreError};
use license_core::usage::{BatchId, Validation, WriterId};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::options::{GroupCommitOptions, Recording};
use super::queue::{Batch, Call, CallQueue, PushOutcome, RecordResult};

/// Pause before a batch is retried.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// An attempt is aborted and repeated after this time: a call on a cut connection may never return.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for which buffered validations are collected for one commit.
const BUFFER_TIME: Duration = Duration::from_millis(25);
/// Number of dropped validations between two log entries about them.
const DROPS_PER_LOG: u64 = 10_000;

/// State that all committer tasks share.
pub(super) struct Committer {
    pub(super) store: Arc<dyn LicenseStore>,
    pub(super) options: GroupCommitOptions,
    pub(super) queue: CallQueue,
    pub(super) batch_sizes: Histogram,
    pub(super) durations: Histogram,
    pub(super) dropped: AtomicU64,
    /// Number of validations that were dropped for lack of room since the store went down.
    dropped_while_down: AtomicU64,
}

/// One attempt to record a batch. Dropping it aborts the attempt.
struct CommitAttempt(JoinHandle<RecordResult>);

impl Drop for CommitAttempt {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Committer {
    pub(super) fn new(store: Arc<dyn LicenseStore>, options: GroupCommitOptions) -> Self {
        Self {
            store,
            options,
            queue: CallQueue::default(),
            batch_sizes: Histogram::new(Histogram::SIZES),
            durations: Histogram::new(Histogram::SECONDS),
            dropped: AtomicU64::default(),
            dropped_while_down: AtomicU64::default(),
        }
    }

    /// Commits batch after batch, until the queue is closed and empty.
    pub(super) async fn run(self: Arc<Self>, writer: WriterId) {
        let mut number = 0;
        loop {
            self.queue.wait_for_calls().await;
            if self.options.recording == Recording::Buffered
                && self.queue.not_taken() < self.options.batch.get()
            {
                sleep(BUFFER_TIME).await;
            }
            // The first call has woken this task. Other calls that are ready to run can now join the batch.
            yield_now().await;
            match self.queue.take(self.options.batch.get()) {
                None => return,
                // Another committer took the calls.
                Some(batch) if batch.calls.is_empty() => self.queue.recycle(batch),
                Some(batch) => {
                    number += 1;
                    self.commit(batch, BatchId { writer, number }).await;
                }
            }
        }
    }

    /// Commits one batch, however long it takes, and answers its callers.
    async fn commit(&self, mut batch: Batch, id: BatchId) {
        let buffers = self.options.max_buffered > 0;
        let mut deadline = None;
        while !batch.calls.is_empty() {
            let begun = Instant::now();
            let Batch { calls, validations } = &mut batch;
            let size = validations.len();
            validations.make_contiguous();
            let shared = Arc::new(mem::take(validations));
            let result = {
                // In its own task, a store that blocks its thread does not delay the deadline, and a panic
                // ends only this batch.
                let (store, validations) = (Arc::clone(&self.store), Arc::clone(&shared));
                let attempt = async move { store.record(validations.as_slices().0, Some(id)).await };
                let mut attempt = CommitAttempt(tokio::spawn(attempt));
                let until = *deadline.get_or_insert(begun + self.options.deadline);
                // A store that is contended until the deadline counts as down, even if it answers each
                // attempt at once.
                let overdue = begun >= until && buffers;
                let in_time = if overdue { None } else { timeout_at(until, &mut attempt.0).await.ok() };
                if in_time.is_none() && buffers {
                    self.set_down(calls);
                    deadline = None;
                    timeout(ATTEMPT_TIMEOUT, &mut attempt.0).await.ok()
                } else {
                    in_time
                }
            };
            *validations = Arc::unwrap_or_clone(shared);
            let error = match result {
                Some(Ok(Ok(()))) => {
                    #[expect(clippy::cast_precision_loss, reason = "batches are small numbers")]
                    self.batch_sizes.observe(size as f64);
                    self.durations.observe_duration(begun.elapsed());
                    self.queue.finish(size);
                    self.set_up();
                    batch.answer_all();
                    return self.queue.recycle(batch);
                }
                Some(Ok(Err(error))) => error,
                Some(Err(panic)) => {
                    return self.fail(batch, StoreError::Unavailable { source: panic.into() });
                }
                None => StoreError::Unavailable { source: "the commit did not finish in time".into() },
            };
            if !error.is_retryable() {
                self.set_up();
            }
            match error {
                error if error.is_retryable() && buffers => {
                    if matches!(error, StoreError::Unavailable { .. }) {
                        self.set_down(&mut batch.calls);
                        // The callers are answered. The next attempt gets a new deadline, since the store may
                        // be up again.
                        deadline = None;
                    }
                    sleep(RETRY_PAUSE).await;
                }
                error => return self.fail(batch, error),
            }
        }
    }

    /// Gives up a batch.
    fn fail(&self, mut batch: Batch, error: StoreError) {
        let error = Arc::new(error);
        self.queue.finish(batch.validations.len());
        let mut lost = 0;
        for call in &mut batch.calls {
            if call.waiter.is_none() {
                lost += call.validations;
            }
            call.answer(Err(StoreError::shared(&error)));
        }
        if lost > 0 {
            tracing::error!(%error, lost, "validations that were answered cannot be recorded");
            self.dropped.fetch_add(lost as u64, Ordering::Relaxed);
        }
    }

    /// Marks the store as down and answers all callers, so that none waits for it.
    fn set_down(&self, calls: &mut VecDeque<Call>) {
        let changed = self.queue.set_down(true);
        for call in calls {
            call.answer(Ok(()));
        }
        if changed {
            tracing::warn!("validations cannot be recorded: they wait in memory until the store answers");
        }
    }

    fn set_up(&self) {
        if self.queue.set_down(false) {
            let dropped = self.dropped_while_down.swap(0, Ordering::Relaxed);
            tracing::info!(waiting = self.queue.depth(), dropped, "validations are recorded again");
        }
    }

    fn count_dropped(&self, dropped: usize) {
        let dropped = dropped as u64;
        if dropped > 0 {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
            let before = self.dropped_while_down.fetch_add(dropped, Ordering::Relaxed);
            let total = before + dropped;
            if before == 0 || before / DROPS_PER_LOG != total / DROPS_PER_LOG {
                tracing::error!(dropped = total, "too many validations wait: the oldest are dropped");
            }
        }
    }

    /// Adds a call to the queue. Waits for its commit if recording is durable or the buffer is full.
    pub(super) async fn record(&self, validations: &[Validation]) -> RecordResult {
        let GroupCommitOptions { recording, max_buffered, .. } = self.options;
        let waits = recording == Recording::Durable || self.queue.depth() >= max_buffered;
        let (waiter, answer) = if waits { Some(oneshot::channel()).unzip() } else { (None, None) };
        match self.queue.push(validations, waiter, max_buffered) {
            PushOutcome::Queued => {}
            PushOutcome::Buffered { dropped } => self.count_dropped(dropped),
            PushOutcome::Closed => return self.store.record(validations, None).await,
        }
        let Some(answer) = answer else { return Ok(()) };
        answer.await.unwrap_or_else(|error| Err(StoreError::Unavailable { source: Box::new(error) }))
    }
}

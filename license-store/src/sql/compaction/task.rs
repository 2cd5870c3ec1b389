//! The task that compacts recorded validations. Readers can wait for it.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::sql::prelude::*;

/// A pass begins when this many validations wait, or after [`MAX_DELAY`]. Large folds are cheaper: their
/// validations share pages.
const START: u64 = 100_000;
/// Maximum time that recorded validations wait for a pass.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// Interval between checks for validations that other processes recorded.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Pause after a failed pass, unless a reader asks sooner.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Maximum time that a reader waits for a pass.
const MAX_CATCH_UP: Duration = Duration::from_millis(250);

/// A finished pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pass {
    /// Its number, counted from 1.
    number: u64,
    /// Whether it compacted all validations that waited when it began.
    complete: bool,
}

/// Requests to the task, and its progress.
#[derive(Debug)]
struct Requests {
    /// The number of the last pass that began.
    begun: AtomicU64,
    /// The number of the last pass that a reader asked for.
    wanted: AtomicU64,
    wake: Notify,
    ended: watch::Sender<Pass>,
}

/// Runs the compactor of a store.
#[derive(Debug)]
pub(crate) struct Compaction {
    requests: Arc<Requests>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Compaction {
    /// Starts the task. The first pass compacts what an earlier process left.
    pub(crate) fn start<D: Dialect>(database: Arc<SqlDatabase<D>>) -> Self {
        let requests = Arc::new(Requests {
            begun: AtomicU64::default(),
            wanted: AtomicU64::new(1),
            wake: Notify::default(),
            ended: watch::Sender::new(Pass::default()),
        });
        let task = tokio::spawn(run(database, Arc::clone(&requests)));
        Self { requests, task: Mutex::new(Some(task)) }
    }

    /// Counts recorded validations. Wakes the task for the first of them, and when enough wait.
    pub(crate) fn recorded<D: Dialect>(&self, database: &SqlDatabase<D>, size: u64) {
        let before = database.backlog.add(size);
        if before == 0 || (before < START && before + size >= START) {
            self.requests.wake.notify_one();
        }
    }

    /// Waits up to [`MAX_CATCH_UP`] until all validations recorded before the call are compacted. Returns
    /// whether they are.
    ///
    /// On a quiet system this starts a pass. With a backlog it only waits, since passes are under way. A
    /// failed pass is not an error for the reader: the disk may be full, or another node may be compacting.
    pub(crate) async fn catch_up<D: Dialect>(&self, database: &SqlDatabase<D>) -> Result<bool> {
        if database.read(&database.sql.journal.any, &[]).await?.is_empty() {
            return Ok(true);
        }
        let pass = self.next_pass(database.backlog.is_quiet());
        Ok(timeout(MAX_CATCH_UP, pass).await.unwrap_or(false))
    }

    /// Compacts everything that was recorded before the call, however long that takes.
    ///
    /// # Errors
    /// Returns [`StoreError::Unavailable`] if a pass fails.
    pub(crate) async fn run_now(&self) -> Result<()> {
        if self.next_pass(true).await {
            return Ok(());
        }
        Err(StoreError::Unavailable { source: "recorded validations could not be compacted".into() })
    }

    /// Waits for the end of a pass that begins after this call. With `request`, asks for that pass. Returns
    /// whether it was complete.
    async fn next_pass(&self, request: bool) -> bool {
        let Requests { begun, wanted, wake, ended } = &*self.requests;
        let number = begun.load(Ordering::SeqCst) + 1;
        let mut passes = ended.subscribe();
        if request {
            wanted.fetch_max(number, Ordering::SeqCst);
            wake.notify_one();
        }
        passes.wait_for(|pass| pass.number >= number).await.is_ok_and(|pass| pass.complete)
    }

    /// Aborts the task. An aborted pass is resumed at the next start.
    pub(crate) async fn stop(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for Compaction {
    fn drop(&mut self) {
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

async fn run<D: Dialect>(database: Arc<SqlDatabase<D>>, requests: Arc<Requests>) {
    loop {
        let number = requests.begun.fetch_add(1, Ordering::SeqCst) + 1;
        // If a pass panics, it must still end: readers wait for it.
        let panicked = |_| Err(StoreError::Unavailable { source: "the compactor panicked".into() });
        let result = AssertUnwindSafe(pass(&database)).catch_unwind().await.unwrap_or_else(panicked);
        let complete = matches!(result, Ok(true));
        let failed = result.is_err();
        if let Err(error) = result
            && !database.backlog.set_failing(true)
        {
            tracing::warn!(%error, "recorded validations cannot be compacted; counters lag behind");
        } else if complete && database.backlog.set_failing(false) {
            tracing::info!("recorded validations are compacted again");
        }
        requests.ended.send_replace(Pass { number, complete });
        wait(&database, &requests, number, failed).await;
    }
}

/// Waits for a reason for the next pass: a reader asks, enough validations wait, or a delay is over.
async fn wait<D: Dialect>(database: &SqlDatabase<D>, requests: &Requests, number: u64, failed: bool) {
    let ended = Instant::now();
    loop {
        let waiting = database.backlog.waiting();
        if requests.wanted.load(Ordering::SeqCst) > number || (waiting >= START && !failed) {
            return;
        }
        let delay = match waiting {
            _ if failed => RETRY_PAUSE,
            0 => CHECK_INTERVAL,
            _ => MAX_DELAY,
        };
        if timeout_at(ended + delay, requests.wake.notified()).await.is_err() {
            return;
        }
    }
}

/// Compacts the validations that wait now. Returns whether it compacted all of them.
async fn pass<D: Dialect>(database: &SqlDatabase<D>) -> Result<bool> {
    let newest = database.newest_row().await?;
    loop {
        database.count_backlog().await?;
        if !database.has_rows_up_to(newest).await? {
            return Ok(true);
        }
        let compact = async || {
            if D::SINGLE_WRITER { database.compact_slices().await } else { database.compact_step().await }
        };
        retry(compact).await?;
    }
}

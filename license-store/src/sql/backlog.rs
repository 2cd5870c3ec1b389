//! The number of validations that wait to be compacted, and backpressure on recorders.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use license_core::metrics::Metric;
use license_core::store::StoreError;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::Result;

/// If this many validations wait, recorders wait for the compactor.
const MAX_WAITING: u64 = 500_000;
/// Maximum time that a recorder waits. After it, the store counts as down, and validations wait in memory.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// A reader of counters starts a compaction only if fewer validations wait.
const QUIET: u64 = 2_000;

/// An estimate: the compactor corrects it after each count, and recorders of this process add to it.
#[derive(Debug)]
pub(super) struct Backlog {
    waiting: AtomicU64,
    rejected: AtomicU64,
    /// Whether a pass failed since the last one that succeeded.
    failing: AtomicBool,
    /// Number of counts by the compactor.
    counted: watch::Sender<u64>,
}

impl Default for Backlog {
    fn default() -> Self {
        Self {
            waiting: AtomicU64::default(),
            rejected: AtomicU64::default(),
            failing: AtomicBool::default(),
            counted: watch::Sender::new(0),
        }
    }
}

impl Backlog {
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.waiting() < QUIET
    }

    /// Corrects the estimate after a count. `before` is the estimate at its start, `waiting` its result.
    /// Validations added since then are kept.
    pub(super) fn correct(&self, before: u64, waiting: u64) {
        let correct = |now: u64| Some((now + waiting).saturating_sub(before));
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, correct);
        self.counted.send_modify(|counted| *counted += 1);
    }

    /// Adds recorded validations. Returns the number that waited before.
    pub(super) fn add(&self, size: u64) -> u64 {
        self.waiting.fetch_add(size, Ordering::Relaxed)
    }

    pub(super) fn count_rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets whether passes fail. Returns the previous state.
    pub(super) fn set_failing(&self, failing: bool) -> bool {
        self.failing.swap(failing, Ordering::Relaxed)
    }

    /// Waits for room, before any lock is taken.
    ///
    /// # Errors
    /// Returns [`StoreError::Unavailable`] after a second without room.
    pub(super) async fn wait_for_room(&self) -> Result<()> {
        if self.waiting() < MAX_WAITING {
            return Ok(());
        }
        let mut counted = self.counted.subscribe();
        let room = async { while self.waiting() >= MAX_WAITING && counted.changed().await.is_ok() {} };
        let full = || StoreError::Unavailable {
            source: format!("{MAX_WAITING} validations wait to be compacted").into(),
        };
        timeout(MAX_WAIT, room).await.map_err(|_| full())
    }

    pub(super) fn metrics(&self) -> Vec<Metric> {
        let waiting = "Validations that wait to be compacted, as estimated by this node";
        let rejected = "Batches of validations that could not be read and were moved out of the journal";
        vec![
            Metric::gauge("journal_waiting", waiting, self.waiting()),
            Metric::counter("journal_rejected", rejected, &self.rejected),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn full_backlog_blocks_recorder_until_there_is_room() {
        let backlog = Arc::new(Backlog::default());
        backlog.add(MAX_WAITING);
        let recorder = tokio::spawn({
            let backlog = Arc::clone(&backlog);
            async move { backlog.wait_for_room().await }
        });
        tokio::task::yield_now().await;
        assert!(!recorder.is_finished());
        backlog.correct(MAX_WAITING, MAX_WAITING - 1);
        recorder.await.expect("no panic").expect("there is room");
    }

    #[tokio::test(start_paused = true)]
    async fn full_backlog_is_unavailable_after_a_second() {
        let backlog = Backlog::default();
        backlog.add(MAX_WAITING);
        let begun = tokio::time::Instant::now();
        let error = backlog.wait_for_room().await.expect_err("no room");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert_eq!(begun.elapsed().as_secs(), MAX_WAIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn backlog_one_below_the_limit_has_room() {
        let backlog = Backlog::default();
        backlog.add(MAX_WAITING - 1);
        backlog.wait_for_room().await.expect("there is room");
    }
}

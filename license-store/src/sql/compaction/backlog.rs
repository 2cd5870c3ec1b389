//! How many validations wait to be compacted, and what recorders do when they are too many.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use license_core::figure::Figure;
use license_core::store::StoreError;
use tokio::sync::watch;
use tokio::time::timeout;

/// With more validations waiting, recorders wait for the compactor.
const MOST: u64 = 500_000;
/// The longest that a recorder waits. Then the store counts as down: validations wait in memory instead.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// With fewer waiting, a reader may ask for a pass at once.
const QUIET: u64 = 2_000;

/// An estimate: the compactor publishes what it finds, and recorders of this process add to it.
#[derive(Debug)]
pub(in crate::sql) struct Backlog {
    waiting: AtomicU64,
    rejected: AtomicU64,
    /// Whether a pass failed since the last one that succeeded.
    failing: AtomicBool,
    /// How often the compactor has counted.
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

    /// Corrects the estimate: it was `before` when the compactor began to count, and found `waiting`. What was added since stays.
    pub(super) fn publish(&self, before: u64, waiting: u64) {
        let correct = |now: u64| Some((now + waiting).saturating_sub(before));
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, correct);
        self.counted.send_modify(|counted| *counted += 1);
    }

    /// Adds what was recorded; returns what waited before.
    pub(super) fn add(&self, size: u64) -> u64 {
        self.waiting.fetch_add(size, Ordering::Relaxed)
    }

    pub(super) fn note_rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_failing(&self, failing: bool) -> bool {
        self.failing.swap(failing, Ordering::Relaxed)
    }

    /// Waits until there is room. Called before any lock is taken.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] after a second without room.
    pub(in crate::sql) async fn room(&self) -> Result<(), StoreError> {
        if self.waiting() < MOST {
            return Ok(());
        }
        let mut counted = self.counted.subscribe();
        let room = async { while self.waiting() >= MOST && counted.changed().await.is_ok() {} };
        let full =
            || StoreError::Unavailable { source: format!("{MOST} validations wait to be compacted").into() };
        timeout(LONGEST_WAIT, room).await.map_err(|_| full())
    }

    pub(in crate::sql) fn figures(&self) -> Vec<Figure> {
        let waiting = "Validations that wait to be compacted, as far as this node knows";
        let rejected = "Batches of validations that could not be read and were moved out of the journal";
        vec![
            Figure::gauge("journal_waiting", waiting, self.waiting()),
            Figure::counter("journal_rejected", rejected, &self.rejected),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn recorder_waits_for_room_in_a_full_backlog() {
        let backlog = Arc::new(Backlog::default());
        backlog.add(MOST);
        let recorder = tokio::spawn({
            let backlog = Arc::clone(&backlog);
            async move { backlog.room().await }
        });
        tokio::task::yield_now().await;
        assert!(!recorder.is_finished());
        backlog.publish(MOST, MOST - 1);
        recorder.await.expect("no panic").expect("there is room");
    }

    #[tokio::test(start_paused = true)]
    async fn full_backlog_is_unavailable_after_a_second() {
        let backlog = Backlog::default();
        backlog.add(MOST);
        let begun = tokio::time::Instant::now();
        let error = backlog.room().await.expect_err("no room");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert_eq!(begun.elapsed().as_secs(), LONGEST_WAIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn backlog_one_below_the_limit_has_room() {
        let backlog = Backlog::default();
        backlog.add(MOST - 1);
        backlog.room().await.expect("there is room");
    }
}

//! Whose turn it is to write, where a database has one writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{sleep, timeout};

/// Lets what no caller waits for take part in the queue of writers one at a time, so that whoever records waits for one of
/// them at most.
#[derive(Clone, Debug)]
pub(super) struct Background(Option<(Arc<Mutex<()>>, Duration)>);

/// Between two writes in the background others write, if they do: at least so long, and so many times as long as the write took.
const PAUSE: Duration = Duration::from_millis(1);
const SHARE: u32 = 4;

/// Short writes in the background, one after the other: stands back between them while others write.
#[derive(Debug)]
pub(super) struct Steps<'a> {
    /// Grows with what others write.
    others: &'a AtomicU64,
    seen: u64,
}

impl<'a> Steps<'a> {
    pub(super) fn new(others: &'a AtomicU64) -> Self {
        Self { others, seen: others.load(Ordering::Relaxed) }
    }

    /// After a step that took so long.
    pub(super) async fn stand_back(&mut self, took: Duration) {
        let before = std::mem::replace(&mut self.seen, self.others.load(Ordering::Relaxed));
        if self.seen != before {
            sleep((took * SHARE).max(PAUSE)).await;
        }
    }
}

/// Held while one is there; nothing of a database whose writers wait for rows only.
pub(super) type Turn<'a> = Option<MutexGuard<'a, ()>>;

impl Background {
    /// Of a database with one writer. Nobody waits for a turn for longer than `longest`.
    pub(super) fn in_turn(longest: Duration) -> Self {
        Self(Some((Arc::default(), longest)))
    }

    /// Of a database whose writers wait for rows only.
    #[cfg(feature = "postgres")]
    pub(super) fn at_once() -> Self {
        Self(None)
    }

    /// Waits until no other is there. Before the connection that writes is asked for.
    pub(super) async fn enter(&self) -> sqlx::Result<Turn<'_>> {
        let Some((turn, longest)) = &self.0 else { return Ok(None) };
        timeout(*longest, turn.lock()).await.map(Some).map_err(|_| sqlx::Error::PoolTimedOut)
    }
}

//! Whose turn it is to write, where a database has one writer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

/// Lets what no caller waits for take part in the queue of writers one at a time, so that whoever records waits for one of
/// them at most.
#[derive(Clone, Debug)]
pub(super) struct Background(Option<(Arc<Mutex<()>>, Duration)>);

/// Held while one is there; nothing of a database whose writers wait for rows only.
pub(super) type Turn<'a> = Option<MutexGuard<'a, ()>>;

impl Background {
    /// Of a database with one writer. Nobody waits for a turn for longer than `longest`.
    #[cfg(feature = "sqlite")]
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

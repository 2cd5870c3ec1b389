//! Whose turn it is to write, where a database has one writer.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};

/// Lets what no caller waits for take part in the queue of writers one at a time, so that whoever records waits for one of
/// them at most.
#[derive(Clone, Debug)]
pub(super) struct Background(Option<Arc<Mutex<()>>>);

impl Background {
    /// Of a database with one writer.
    pub(super) fn in_turn() -> Self {
        Self(Some(Arc::default()))
    }

    /// Of a database whose writers wait for rows only.
    #[cfg(feature = "postgres")]
    pub(super) fn at_once() -> Self {
        Self(None)
    }

    /// Waits until no other is there. Before the connection that writes is asked for.
    pub(super) async fn enter(&self) -> Option<MutexGuard<'_, ()>> {
        match &self.0 {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }
}

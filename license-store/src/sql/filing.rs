//! The filing of recorded validations: from the inbox, where a commit puts them in a moment, to where they are looked up.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Filing costs several times what recording does, so it waits until nothing was recorded for so long: a burst is answered
/// first and filed afterwards.
const QUIET: Duration = Duration::from_millis(500);
/// But no longer than this: the inbox is gone through by those who read counters, and shall not grow without end.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// After a fault of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// Forgets recorders that are gone: none waits for a week to send a batch again.
pub(super) const FORGET_RECORDERS: &str =
    "DELETE FROM recorders WHERE at < (SELECT MAX(at) FROM recorders) - 604800000000";

/// Files what is in the inbox now. May be called by several nodes at once, and cut short anywhere: what is filed is counted
/// once.
pub(super) trait File: Send + Sync + 'static {
    fn file(&self) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + '_>>;

    /// Closes connections that are its own.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Files in a task of its own, as long as it lives.
pub(super) struct Filing {
    file: Arc<dyn File>,
    recorded: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Filing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filing").finish_non_exhaustive()
    }
}

impl Filing {
    pub(super) fn new(file: impl File) -> Self {
        let (file, recorded): (Arc<dyn File>, _) = (Arc::new(file), Arc::new(Notify::new()));
        let (filer, wake) = (Arc::clone(&file), Arc::clone(&recorded));
        let task = tokio::spawn(async move {
            // What an earlier process left.
            wake.notify_one();
            loop {
                wake.notified().await;
                let busy = async { while timeout(QUIET, wake.notified()).await.is_ok() {} };
                // Either is time to begin.
                let _ = timeout(LONGEST_WAIT, busy).await;
                if filer.file().await.is_err() {
                    // It is still in the inbox, and counted. What is wrong, callers are told.
                    wake.notify_one();
                    sleep(PAUSE).await;
                }
            }
        });
        Self { file, recorded, task: Mutex::new(Some(task)) }
    }

    /// Something was recorded.
    pub(super) fn wake(&self) {
        self.recorded.notify_one();
    }

    /// Files now.
    pub(super) async fn run(&self) -> sqlx::Result<()> {
        self.file.file().await
    }

    /// Ends the task, wherever it is, and closes its connections.
    pub(super) async fn stop(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            // Cut short is what it was told to be.
            let _ = task.await;
        }
        self.file.close().await;
    }
}

impl Drop for Filing {
    fn drop(&mut self) {
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

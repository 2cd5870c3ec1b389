//! Moves the write-ahead log into the database file in the background, so that commits rarely do.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Pause between checkpoints.
const PAUSE: Duration = Duration::from_millis(250);
/// Length in pages (64 MB) at which the log is restarted. Writers wait while its last pages are moved.
const LONG_LOG: i64 = 16_384;
const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// The checkpoint task. It has its own connection.
#[derive(Debug)]
pub(super) struct Checkpoints {
    stop: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpoints {
    pub(super) fn start(options: SqliteConnectOptions, writer: SqlitePool) -> Self {
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(run(options.pragma("wal_autocheckpoint", "0"), writer, Arc::clone(&stop)));
        Self { stop, task: Mutex::new(Some(task)) }
    }

    /// Ends the task and closes its connection. SQLite removes the log when the last connection closes.
    pub(super) async fn stop(&self) {
        if let Some(task) = self.task.lock().await.take() {
            self.stop.notify_one();
            let _ = task.await;
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

async fn run(options: SqliteConnectOptions, writer: SqlitePool, stop: Arc<Notify>) {
    let mut connection = None;
    while timeout(PAUSE, stop.notified()).await.is_err() {
        if connection.is_none() {
            connection = options.connect().await.ok();
        }
        if let Some(connection) = &mut connection {
            // Ignored: a disk fault also fails commits, which report it.
            let _ = checkpoint(connection, &writer).await;
        }
    }
    if let Some(connection) = connection {
        let _ = connection.close().await;
    }
}

/// Checkpoints the log. The log restarts only after a checkpoint that leaves no page behind, and concurrent
/// writes prevent that. If the log is long, a second checkpoint runs while this task holds the writer.
async fn checkpoint(connection: &mut SqliteConnection, writer: &SqlitePool) -> sqlx::Result<()> {
    let pages: i64 = sqlx::query(CHECKPOINT).fetch_one(&mut *connection).await?.try_get("log")?;
    if pages >= LONG_LOG {
        let _writer = writer.acquire().await?;
        sqlx::query(CHECKPOINT).fetch_one(connection).await?;
    }
    Ok(())
}

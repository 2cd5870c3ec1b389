//! Moves the write-ahead log into the database file in the background, so that no commit has to.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Pause between checkpoints.
const PAUSE: Duration = Duration::from_millis(250);
/// Pages at which the log is restarted: 64 MB. The writer waits for the rest of that checkpoint.
const LONG_LOG: i64 = 16_384;
const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// The task that checkpoints, with a connection of its own.
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

    /// Ends the task and closes its connection. The last connection that closes removes the log.
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
            // A disk fault is reported by the commits that fail.
            let _ = checkpoint(connection, &writer).await;
        }
    }
    if let Some(connection) = connection {
        let _ = connection.close().await;
    }
}

/// Moves the log. While others write, the log only grows. If it is long, the writer waits once, so that the
/// log restarts.
async fn checkpoint(connection: &mut SqliteConnection, writer: &SqlitePool) -> sqlx::Result<()> {
    let pages: i64 = sqlx::query(CHECKPOINT).fetch_one(&mut *connection).await?.try_get("log")?;
    if pages >= LONG_LOG {
        let _writer = writer.acquire().await?;
        sqlx::query(CHECKPOINT).fetch_one(connection).await?;
    }
    Ok(())
}

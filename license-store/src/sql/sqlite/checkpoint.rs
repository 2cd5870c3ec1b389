//! Moves the write-ahead log into the database file, so that no commit has to.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqliteRow};
use sqlx::{ConnectOptions, Row, SqliteConnection};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Between two checkpoints.
const PAUSE: Duration = Duration::from_millis(250);
/// Pages of a log that begins anew: 64 MB. The writer waits for the rest of that checkpoint.
const LONG_LOG: i64 = 16_384;
const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// The task that checkpoints, on a connection of its own.
#[derive(Debug)]
pub(super) struct Checkpoints(JoinHandle<()>);

impl Checkpoints {
    pub(super) fn start(options: SqliteConnectOptions, writer: SqlitePool) -> Self {
        Self(tokio::spawn(async move {
            let mut connection: Option<SqliteConnection> = None;
            while !writer.is_closed() {
                sleep(PAUSE).await;
                let current = match &mut connection {
                    Some(current) => current,
                    None => match options.clone().pragma("wal_autocheckpoint", "0").connect().await {
                        Ok(new) => connection.insert(new),
                        Err(_) => continue,
                    },
                };
                // A fault of the disk is told to those whose commits it fails.
                let _ = checkpoint(current, &writer).await;
            }
        }))
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Moves what is in the log. While others write, the log only grows; if it is long, the writer waits for once, so that the log begins
/// anew.
async fn checkpoint(connection: &mut SqliteConnection, writer: &SqlitePool) -> sqlx::Result<()> {
    let row: SqliteRow = sqlx::query(CHECKPOINT).fetch_one(&mut *connection).await?;
    let pages: i64 = row.try_get("log")?;
    if pages >= LONG_LOG {
        let _writer = writer.acquire().await?;
        sqlx::query(CHECKPOINT).fetch_one(connection).await?;
    }
    Ok(())
}

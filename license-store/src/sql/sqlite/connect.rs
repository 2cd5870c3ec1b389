//! Opens the connections of a database file.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tokio::time::{Instant, sleep};

use super::Sqlite;
use super::files::beside;
use crate::sql::fault::{has_code, is_contended};

/// Pause between attempts to open a file that another process is opening.
const OPEN_PAUSE: Duration = Duration::from_millis(10);

/// Returns the path of the log of a database that is not open.
pub(super) fn log_of(path: &Path) -> PathBuf {
    beside(&std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()), "-wal")
}

/// Returns whether SQLite says that the file is damaged or no database.
pub(super) fn is_damaged(error: &(dyn Error + 'static)) -> bool {
    // SQLITE_CORRUPT and SQLITE_NOTADB, of which extended codes have the low byte.
    let is_damage = |code: &str| code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 11 | 26));
    let causes = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    causes.filter_map(|error| error.downcast_ref()).any(|error| has_code(error, is_damage))
}

/// Opens all connections of a pool.
pub(super) async fn open_all(pool: &SqlitePool) -> sqlx::Result<()> {
    let mut connections = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        connections.push(pool.acquire().await?);
    }
    Ok(())
}

/// Connects, and retries while another process opens the file: a new file gets its log under an exclusive
/// lock, for which SQLite does not wait with any timeout.
pub(super) async fn connect(
    pool: &SqlitePoolOptions,
    options: &SqliteConnectOptions,
    lock_timeout: Duration,
) -> sqlx::Result<SqlitePool> {
    let until = Instant::now() + lock_timeout;
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Err(error) if is_contended::<Sqlite>(&error) && Instant::now() < until => sleep(OPEN_PAUSE).await,
            result => return result,
        }
    }
}

//! Maintains the write-ahead log in the background: moves it into the database file, so that commits rarely
//! do, and truncates it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqlitePool;
use sqlx::{Connection, Executor, Row, SqliteConnection};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::files::DatabaseFiles;

/// Pause between rounds.
const PAUSE: Duration = Duration::from_millis(250);
/// Length in pages (64 MB) at which the log is restarted. Writers wait while its last pages are moved.
const LONG_LOG: i64 = 16_384;
/// A log of more bytes is truncated when the database is quiet.
const LARGE_LOG: u64 = 4 << 20;
/// A round with fewer new pages is quiet.
const QUIET_PAGES: i64 = 64;
/// Number of quiet rounds after which a large log is truncated: two seconds.
const QUIET_ROUNDS: u32 = 8;
/// Rounds between two updates of the planner's statistics: one hour.
const STATISTICS_ROUNDS: u32 = 14_400;
const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";
const TRUNCATE: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
/// Reads at most 1,000 rows of each index, so it takes milliseconds. Only lists of licenses need statistics;
/// other statements name their indexes by their form.
const STATISTICS: &str = "PRAGMA analysis_limit = 1000; ANALYZE licenses";

/// What a round does after the first checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Nothing,
    /// Checkpoints again while holding the writer, so that the next write starts the log from its beginning.
    Restart,
    Truncate,
}

/// What the rounds have seen of the log.
#[derive(Debug, Default)]
struct LogHistory {
    pages: i64,
    quiet_rounds: u32,
}

impl LogHistory {
    /// Chooses the work for a log of `pages`, of which `moved` are in the database file.
    fn next(&mut self, pages: i64, moved: i64, bytes: u64) -> Work {
        // The log restarts at 0, so fewer pages than before are new ones.
        let new = if pages < self.pages { pages } else { pages - self.pages };
        self.pages = pages;
        self.quiet_rounds = if new < QUIET_PAGES && pages == moved { self.quiet_rounds + 1 } else { 0 };
        if pages >= LONG_LOG && new > 0 {
            return Work::Restart;
        }
        if self.quiet_rounds >= QUIET_ROUNDS && bytes > LARGE_LOG {
            self.quiet_rounds = 0;
            return Work::Truncate;
        }
        Work::Nothing
    }
}

/// The write-ahead log. Its connection is used for nothing else.
#[derive(Debug)]
struct Log {
    /// `None` when the task has ended.
    connection: Mutex<Option<SqliteConnection>>,
    writer: SqlitePool,
    files: Arc<DatabaseFiles>,
    /// Whether an erasure waits for the log to be truncated.
    is_erased: AtomicBool,
    /// Whether licenses were imported since the last look.
    is_imported: AtomicBool,
}

impl Log {
    /// Checkpoints the log. The log restarts only after a checkpoint that leaves no page behind, and
    /// concurrent writes prevent that. If the log is long, a second checkpoint runs while this task holds
    /// the writer.
    async fn round(&self, history: &mut LogHistory) -> sqlx::Result<()> {
        let mut connection = self.connection.lock().await;
        let Some(connection) = &mut *connection else { return Ok(()) };
        let row = sqlx::query(CHECKPOINT).fetch_one(&mut *connection).await?;
        let mut work =
            history.next(row.try_get("log")?, row.try_get("checkpointed")?, self.files.log_bytes());
        if self.is_erased.load(Ordering::Relaxed) {
            work = Work::Truncate;
        }
        match work {
            Work::Nothing => {}
            Work::Restart => {
                let _writer = self.writer.acquire().await?;
                sqlx::query(CHECKPOINT).fetch_one(connection).await?;
            }
            Work::Truncate => self.truncate(connection).await?,
        }
        Ok(())
    }

    /// Truncates the log, if no reader is using it.
    async fn truncate(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let _writer = self.writer.acquire().await?;
        let is_busy: i64 = sqlx::query(TRUNCATE).fetch_one(connection).await?.try_get("busy")?;
        if is_busy == 0 {
            self.is_erased.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn update_statistics(&self) -> sqlx::Result<()> {
        let mut writer = self.writer.acquire().await?;
        writer.execute(STATISTICS).await.map(drop)
    }
}

/// The checkpoint task.
#[derive(Debug)]
pub(super) struct Checkpoints {
    log: Arc<Log>,
    stop: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpoints {
    /// Starts the task with a connection that does not wait for locks.
    pub(super) fn start(connection: SqliteConnection, writer: SqlitePool, files: Arc<DatabaseFiles>) -> Self {
        let log = Arc::new(Log {
            connection: Mutex::new(Some(connection)),
            writer,
            files,
            is_erased: AtomicBool::default(),
            is_imported: AtomicBool::default(),
        });
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(run(Arc::clone(&log), Arc::clone(&stop)));
        Self { log, stop, task: Mutex::new(Some(task)) }
    }

    /// Notes an import.
    pub(super) fn imported(&self) {
        self.log.is_imported.store(true, Ordering::Relaxed);
    }

    /// Truncates the log after an erasure. If readers prevent that, the task repeats it.
    pub(super) async fn erased(&self) {
        self.log.is_erased.store(true, Ordering::Relaxed);
        if let Some(connection) = &mut *self.log.connection.lock().await {
            let _ = self.log.truncate(connection).await;
        }
    }

    /// Ends the task and closes its connection. SQLite removes the log when the last connection closes.
    pub(super) async fn stop(&self) {
        if let Some(task) = self.task.lock().await.take() {
            self.stop.notify_one();
            let _ = task.await;
        }
        if let Some(connection) = self.log.connection.lock().await.take() {
            let _ = connection.close().await;
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

async fn run(log: Arc<Log>, stop: Arc<Notify>) {
    let (mut history, mut rounds, mut is_stale) = (LogHistory::default(), 0, false);
    while timeout(PAUSE, stop.notified()).await.is_err() {
        let _ = log.files.check();
        // Errors are ignored: a disk fault also fails commits, which report it.
        let _ = log.round(&mut history).await;
        rounds = (rounds + 1) % STATISTICS_ROUNDS;
        // After the last batch of an import, not after each.
        let is_importing = log.is_imported.swap(false, Ordering::Relaxed);
        if rounds == 0 || (is_stale && !is_importing) {
            let _ = log.update_statistics().await;
        }
        is_stale = is_importing;
    }
    if is_stale || log.is_imported.load(Ordering::Relaxed) {
        let _ = log.update_statistics().await;
    }
}

#[cfg(test)]
mod tests {
    use license_core::store::LicenseStore;

    use super::*;
    use crate::SqliteStore;

    #[test]
    fn large_log_is_truncated_when_quiet() {
        let (large, mut history) = (100 << 20, LogHistory::default());
        // Under load the log grows, restarts and grows again.
        for pages in [5_000, 12_000, 3_000, 9_000, 15_000] {
            assert_eq!(history.next(pages, pages, large), Work::Nothing);
        }
        assert_eq!(history.next(16_384, 16_000, large), Work::Restart);
        // A commit now and then is quiet.
        let rounds = (1..).take_while(|round| history.next(10 * round, 10 * round, large) == Work::Nothing);
        assert!((7..=8).contains(&rounds.count()), "after two seconds");
        // A log whose pages are not all moved is in use, and a small one does no harm.
        for _ in 0..20 {
            assert_eq!(history.next(500, 499, large), Work::Nothing);
            assert_eq!(history.next(500, 500, 1 << 20), Work::Nothing);
        }
    }
    #[tokio::test]
    async fn log_of_a_quiet_database_is_truncated() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("licenses.db")).await.expect("a database");
        let log = &store.database.dialect.checkpoints.log;
        let mut writer = log.writer.acquire().await.expect("the writer");
        let fill = "CREATE TABLE filler AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 6000) \
                    SELECT i, hex(zeroblob(500)) AS text FROM n";
        writer.execute(fill).await.expect("it is filled");
        drop(writer);
        assert!(log.files.log_bytes() > LARGE_LOG, "{} bytes", log.files.log_bytes());
        let mut history = LogHistory::default();
        for _ in 0..=QUIET_ROUNDS {
            log.round(&mut history).await.expect("a checkpoint");
        }
        assert_eq!(log.files.log_bytes(), 0);
        store.close().await;
    }
}

//! SQLite: one file, one machine, any number of processes.

mod checkpoint;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    Sqlite as Driver, SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection, Executor, SqlStr};
use tokio::time::{Instant, sleep};

use super::SqlStore;
use super::dialect::{Dialect, Durability, Value, driver};
use super::fault::is_contended;
use super::feed::Feed;
use super::migrations::{OpenError, Schemas, migrate, open_error};
use super::retry::TRIES;
use checkpoint::Checkpoints;

/// Pages of the write-ahead log at which a commit checkpoints it: 128 MB. A safety net: the checkpoint task comes first.
const LOG_PAGES: &str = "32768";
/// Before another process is asked again whether it has opened the file.
const OPEN_PAUSE: Duration = Duration::from_millis(10);
// IMMEDIATE takes the one write lock at once; a transaction that reads first and writes later fails where another wrote. In
// WAL mode, NORMAL writes to the system at each commit and FULL waits for the disk as well.
const BEGIN_FULL: &str = "PRAGMA synchronous = FULL; BEGIN IMMEDIATE";
const BEGIN_NORMAL: &str = "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE";

const SCHEMAS: &Schemas = &[("initial", include_str!("../../migrations/sqlite/0001_initial.sql"))];

/// How a store works with its file.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// How long a call waits for writers of this process, and then for those of others, before the store is contended.
    pub lock_timeout: Duration,
    /// Connections that read. Reads take microseconds; more than cores only wait for each other.
    pub readers: u32,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { lock_timeout: Duration::from_secs(5), readers: 4 }
    }
}

/// The dialect of SQLite.
#[derive(Debug)]
pub struct Sqlite {
    /// Runs as long as the store lives.
    checkpoints: Option<Checkpoints>,
}

impl Sqlite {
    #[cfg(test)]
    pub(super) fn without_checkpoints() -> Self {
        Self { checkpoints: None }
    }
}

/// A store in a file of SQLite.
pub type SqliteStore = SqlStore<Sqlite>;

driver!(Driver, SqliteRow, SqliteArguments);

impl Dialect for Sqlite {
    type Db = Driver;

    const FOR_UPDATE: &'static str = "";
    const SKIP_LOCKED: &'static str = "";
    const SINGLE_WRITER: bool = true;
    // Some milliseconds.
    const STEP_ROWS: u32 = 200;
    // No other process listens.
    const NOTIFY: Option<&'static str> = None;

    fn begin_write(&self, durability: Durability) -> SqlStr {
        SqlStr::from_static(match durability {
            Durability::PowerLoss => BEGIN_FULL,
            Durability::ProcessCrash | Durability::Repeatable => BEGIN_NORMAL,
        })
    }

    fn begin_read(&self) -> SqlStr {
        SqlStr::from_static("BEGIN DEFERRED")
    }

    fn begin_snapshot(&self) -> SqlStr {
        self.begin_read()
    }

    fn needs_transactions(&self) -> bool {
        false
    }

    const RECORD: &'static str = "INSERT INTO writers (id, last_batch, at) SELECT $1, $2, $3 WHERE $2 > 0 \
        ON CONFLICT (id) DO UPDATE SET last_batch = excluded.last_batch, at = excluded.at \
        WHERE writers.last_batch < excluded.last_batch; \
        INSERT INTO journal (at, size, entries) SELECT $4, $5, $6 WHERE $2 = 0 OR changes() > 0";

    const LOCK_COMPACTION: Option<&'static str> = None;

    fn items(n: u8) -> String {
        // Binary JSON is parsed once, not once for each column.
        format!("jsonb_each(jsonb(${n}))")
    }

    fn items_of(n: u8, name: &str) -> String {
        format!("jsonb_each(jsonb(${n}), '$.{name}')")
    }

    fn is_one_of(column: &str, n: u8) -> String {
        format!("{column} IN (SELECT value FROM json_each(${n}))")
    }

    fn is_one_of_hex(column: &str, n: u8) -> String {
        format!("{column} IN (SELECT unhex(value) FROM json_each(${n}))")
    }

    fn unhex(text: &str) -> String {
        format!("unhex({text})")
    }

    fn json_rows(columns: &str, select: &str) -> String {
        format!("(SELECT json_group_array(json_array({columns})) FROM ({select}))")
    }

    fn looked_up(each: &str, table: &str, _: &str, condition: &str) -> String {
        // The planner keeps the order of a CROSS JOIN.
        format!("{each} CROSS JOIN {table} WHERE {condition}")
    }

    async fn fetch(
        &self,
        connection: &mut sqlx::SqliteConnection,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> sqlx::Result<Vec<SqliteRow>> {
        fetch(connection, sql, values, true).await
    }

    async fn close(&self) {
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.stop().await;
        }
    }

    fn is_contended(code: &str) -> bool {
        // The low byte of an extended code is the code itself: 5 is SQLITE_BUSY, 6 SQLITE_LOCKED.
        code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
    }
}

impl SqlStore<Sqlite> {
    /// Opens the database in the file at `path`, making it (for its owner's eyes only) and bringing it to the schema of
    /// this version where needed. Other processes may have it open.
    ///
    /// # Errors
    /// [`OpenError`]; a database of a later version is left as it is.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, &SqliteOptions::default()).await
    }

    /// As [`open`](Self::open), with options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<Self, OpenError> {
        let SqliteOptions { lock_timeout, readers } = *options;
        let path = path.as_ref();
        create_private(path).map_err(|source| OpenError::File { source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(lock_timeout / TRIES);
        // No check before each use: a connection to a file does not break by itself, and the check costs more than a read.
        let pool = || {
            SqlitePoolOptions::new()
                .test_before_acquire(false)
                .acquire_timeout(lock_timeout)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        // SQLite has one writer at a time: one connection, which the pool hands out in the order of asking.
        let writing = pool().max_connections(1).after_release(|connection, _| {
            Box::pin(async move {
                // If a commit fails (a full disk), SQLite ends the transaction itself, and the driver's count of open transactions
                // stays wrong. The ping waits for the rollback of a dropped transaction.
                if connection.is_in_transaction() {
                    connection.ping().await?;
                }
                Ok(!connection.is_in_transaction())
            })
        });
        // A statement that changes many rows keeps a journal of its own, which would be a file.
        let writer_options = options
            .clone()
            .pragma("wal_autocheckpoint", LOG_PAGES)
            .pragma("cache_size", "-65536")
            .pragma("temp_store", "memory");
        let writer = connect(&writing, &writer_options, lock_timeout).await.map_err(open_error)?;
        let mut tx = writer.begin_with(SqlStr::from_static(BEGIN_FULL)).await.map_err(open_error)?;
        migrate(&mut *tx, SCHEMAS).await?;
        // Statistics, which the migration may just have written, are read when a connection begins, or here.
        tx.execute("ANALYZE sqlite_schema").await.map_err(open_error)?;
        tx.commit().await.map_err(open_error)?;
        let readers = pool().max_connections(readers);
        let readers = readers.connect_with(options.clone().read_only(true)).await.map_err(open_error)?;
        let checkpoints = Checkpoints::start(options, writer.clone());
        Ok(Self::new(Sqlite { checkpoints: Some(checkpoints) }, writer, readers, Feed::default()))
    }
}

/// Connects, also where others open the file at the same moment: to give a new file its log takes all of it, and SQLite
/// says at once that it is busy then, whatever the time-out. So it is asked again until the time is over.
async fn connect(
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

/// Makes the file readable by its owner only. SQLite gives its `-wal` and `-shm` the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

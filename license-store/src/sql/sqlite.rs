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

use super::dialect::{Dialect, Durability, Value, driver};
use super::fault::is_contended;
use super::feed::Feed;
use super::migrations::{OpenError, Schemas, migrate, open_error};
use super::retry::ATTEMPTS;
use super::store::SqlStore;
use checkpoint::Checkpoints;

/// Pages of the write-ahead log at which a commit checkpoints it: 128 MB. Normally the checkpoint task does
/// so earlier.
const LOG_PAGES: &str = "32768";
/// Pause between attempts to open a file that another process is opening.
const OPEN_PAUSE: Duration = Duration::from_millis(10);
// IMMEDIATE takes the write lock at once; a transaction that reads first and writes later fails if another
// one wrote between. In WAL mode, NORMAL hands each commit to the operating system, and FULL also waits for
// the disk.
const BEGIN_FULL: &str = "PRAGMA synchronous = FULL; BEGIN IMMEDIATE";
const BEGIN_NORMAL: &str = "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE";

const SCHEMAS: &Schemas = &[("initial", include_str!("../../migrations/sqlite/0001_initial.sql"))];

/// Settings of a [`SqliteStore`].
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// How long a call waits for writers of this process, and then for writers of other processes, before it
    /// is contended.
    pub lock_timeout: Duration,
    /// Number of connections that read. Reads take microseconds, so more connections than cores gain nothing.
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
    /// Runs until the store is closed or dropped.
    checkpoints: Checkpoints,
}

/// A store in an SQLite file: one machine, any number of processes.
pub type SqliteStore = SqlStore<Sqlite>;

driver!(Driver, SqliteRow, SqliteArguments);

impl Dialect for Sqlite {
    type Db = Driver;

    const FOR_UPDATE: &'static str = "";
    const SKIP_LOCKED: &'static str = "";
    const SINGLE_WRITER: bool = true;
    // A few milliseconds.
    const STEP_ROWS: u32 = 200;
    // Other processes cannot listen.
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
        // The planner does not reorder a CROSS JOIN.
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
        self.checkpoints.stop().await;
    }

    fn is_contended(code: &str) -> bool {
        // The low byte of an extended code is the code itself: 5 is SQLITE_BUSY, 6 SQLITE_LOCKED.
        code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
    }
}

impl SqlStore<Sqlite> {
    /// Opens the database file at `path`. Creates it, readable by its owner only, and migrates it if needed.
    /// Other processes may have it open.
    ///
    /// # Errors
    /// Returns [`OpenError`] if the file cannot be opened. A database of a later version is not changed.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, &SqliteOptions::default()).await
    }

    /// Opens a database file with options.
    ///
    /// # Errors
    /// Returns [`OpenError`] like [`open`](Self::open).
    pub async fn open_with(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<Self, OpenError> {
        let SqliteOptions { lock_timeout, readers } = *options;
        let path = path.as_ref();
        create_private(path).map_err(|source| OpenError::File { source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(lock_timeout / ATTEMPTS);
        // No check before each use: a connection to a file does not break, and the check costs more than a
        // read.
        let pool = || {
            SqlitePoolOptions::new()
                .test_before_acquire(false)
                .acquire_timeout(lock_timeout)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        // SQLite has one writer: one connection, which the pool hands out in the order of requests.
        let writing = pool().max_connections(1).after_release(|connection, _| {
            Box::pin(async move {
                // If a commit fails (a full disk), SQLite ends the transaction itself, and the driver's count
                // of open transactions stays wrong. The ping waits for the rollback of a dropped transaction.
                if connection.is_in_transaction() {
                    connection.ping().await?;
                }
                Ok(!connection.is_in_transaction())
            })
        });
        // A statement that changes many rows has a temporary journal, which would be a file.
        let writer_options = options
            .clone()
            .pragma("wal_autocheckpoint", LOG_PAGES)
            .pragma("cache_size", "-65536")
            .pragma("temp_store", "memory");
        let writer = connect(&writing, &writer_options, lock_timeout).await.map_err(open_error)?;
        let mut tx = writer.begin_with(SqlStr::from_static(BEGIN_FULL)).await.map_err(open_error)?;
        migrate(&mut *tx, SCHEMAS).await?;
        // Loads the statistics that the migration may have written. Without this, a connection keeps those
        // from when it opened.
        tx.execute("ANALYZE sqlite_schema").await.map_err(open_error)?;
        tx.commit().await.map_err(open_error)?;
        let readers = pool().max_connections(readers);
        let readers = readers.connect_with(options.clone().read_only(true)).await.map_err(open_error)?;
        let checkpoints = Checkpoints::start(options, writer.clone());
        Ok(Self::new(Sqlite { checkpoints }, writer, readers, Feed::default()))
    }
}

/// Connects, and retries while another process opens the file: a new file gets its log under an exclusive
/// lock, for which SQLite does not wait with any timeout.
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

/// Creates the file, readable by its owner only. SQLite gives its `-wal` and `-shm` files the same mode.
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

//! SQLite: one file, one machine, any number of processes.

pub mod backup;
mod checkpoint;
mod connect;
mod files;
mod options;
#[cfg(test)]
mod tests;
mod time_limit;
mod verify;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use license_core::store::BoxError;
use sqlx::sqlite::{
    Sqlite as Driver, SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Executor, Row, SqlStr};

use super::database::Pools;
use super::dialect::{Dialect, Durability, Value, driver};
use super::feed::Feed;
use super::migrations::{OpenError, Schemas, migrate, open_error};
use super::retry::ATTEMPTS;
use super::store::SqlStore;
use checkpoint::Checkpoints;
use connect::{connect, is_damaged, log_of, open_all};
use files::{DatabaseFiles, create_private, has_bytes};
pub use options::SqliteOptions;
pub use verify::{inspect, verify};

/// Pages of the write-ahead log at which a commit checkpoints it: 128 MB. Normally the checkpoint task does
/// so earlier.
const LOG_PAGES: &str = "32768";
/// Bytes that the log keeps when it restarts: a commit that makes the file longer takes more time.
const LOG_BYTES: &str = "67108864";
/// Age at which a connection for lists is replaced: a new one knows the latest statistics of the planner.
const LIST_READER_AGE: Duration = Duration::from_mins(10);
// IMMEDIATE takes the write lock at once; a transaction that reads first and writes later fails if another
// one wrote between. In WAL mode, NORMAL hands each commit to the operating system, and FULL also waits for
// the disk. With secure_delete, deleted rows are overwritten with zeros, so that nothing of an erased
// customer stays in the file. FAST skips pages that become free, which would be written only for that.
const BEGIN_FULL: &str = "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; BEGIN IMMEDIATE";
const BEGIN_NORMAL: &str = "PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON; BEGIN IMMEDIATE";
const BEGIN_COMPACTION: &str = "PRAGMA synchronous = NORMAL; PRAGMA secure_delete = FAST; BEGIN IMMEDIATE";

const SCHEMAS: &Schemas = &[("initial", include_str!("../../migrations/sqlite/0001_initial.sql"))];

/// Returns the number of the schema of this version.
fn last_schema() -> i64 {
    i64::try_from(SCHEMAS.len()).unwrap_or(i64::MAX)
}

/// The dialect of SQLite.
#[derive(Debug)]
pub struct Sqlite {
    /// Runs until the store is closed or dropped.
    checkpoints: Checkpoints,
    files: Arc<DatabaseFiles>,
    list_timeout: Duration,
}

/// A store in an SQLite file: one machine, any number of processes.
pub type SqliteStore = SqlStore<Sqlite>;

driver!(Driver, SqliteRow, SqliteArguments);

impl Dialect for Sqlite {
    type Db = Driver;

    const FOR_UPDATE: &'static str = "";
    const FOR_SHARE: &'static str = "";
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

    fn begin_compaction(&self) -> SqlStr {
        SqlStr::from_static(BEGIN_COMPACTION)
    }

    fn begin_read(&self) -> SqlStr {
        SqlStr::from_static("BEGIN DEFERRED")
    }

    fn begin_list(&self) -> SqlStr {
        self.begin_read()
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

    fn text_member(column: &str, name: &str) -> String {
        format!("({column} ->> '{name}')")
    }

    fn json_rows(columns: &str, select: &str) -> String {
        format!("(SELECT json_group_array(json_array({columns})) FROM ({select}))")
    }

    fn looked_up(each: &str, table: &str, _: &str, condition: &str) -> String {
        // The planner does not reorder a CROSS JOIN.
        format!("{each} CROSS JOIN {table} WHERE {condition}")
    }

    // No replica.
    const REPLAYED_AT: &'static str = "SELECT NULL AS at";

    const NAME: &'static str = "SQLite";
    const INFO: &'static str =
        "SELECT sqlite_version() AS version, MAX(version) AS schema FROM license_migrations";
    const EXPLAIN: (&'static str, &'static str) = ("EXPLAIN QUERY PLAN", "detail");

    async fn fetch(
        &self,
        connection: &mut sqlx::SqliteConnection,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> sqlx::Result<Vec<SqliteRow>> {
        fetch(connection, sql, values, true).await
    }

    async fn limit_time(
        &self,
        connection: &mut sqlx::SqliteConnection,
        is_limited: bool,
    ) -> sqlx::Result<()> {
        time_limit::limit_time(connection, is_limited.then_some(self.list_timeout)).await
    }

    fn check_files(&self) -> Result<(), BoxError> {
        self.files.check()
    }

    fn last_check(&self) -> Result<(), BoxError> {
        self.files.last_check()
    }

    fn imported(&self) {
        self.checkpoints.imported();
    }

    async fn erased(&self) {
        self.checkpoints.erased().await;
    }

    fn switched(&self) -> impl Future<Output = sqlx::Error> + Send {
        std::future::pending()
    }

    async fn close(&self) {
        self.checkpoints.stop().await;
    }

    fn is_contended(code: &str) -> bool {
        // The low byte of an extended code is the code itself: 5 is SQLITE_BUSY, 6 SQLITE_LOCKED.
        code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
    }

    fn is_disk_full(code: &str) -> bool {
        // SQLITE_FULL; SQLITE_IOERR_WRITE, which a quota causes; SQLITE_IOERR_SHMSIZE.
        matches!(code, "13" | "778" | "4874")
    }

    fn is_time_limit(code: &str) -> bool {
        // SQLITE_INTERRUPT
        code == "9"
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
        let path = path.as_ref();
        // Before it is opened: the last connection that closes removes the log, even if it does not fit.
        let has_log = has_bytes(&log_of(path));
        if has_log && !has_bytes(path) {
            // SQLite would remove the log, and with it the last changes.
            return Err(OpenError::Damaged { has_log, source: "the file is missing or empty".into() });
        }
        if !options.migrate && !has_bytes(path) {
            return Err(OpenError::OlderSchema { found: 0, known: last_schema() });
        }
        Self::open_files(path, options).await.map_err(|error| match error {
            OpenError::Database(source) if is_damaged(&*source) => OpenError::Damaged { has_log, source },
            error => error,
        })
    }

    async fn open_files(path: &Path, options: &SqliteOptions) -> Result<Self, OpenError> {
        let SqliteOptions { lock_timeout, readers, list_readers, list_timeout, migrate: may_change } =
            *options;
        let file_error = |source| OpenError::File { source };
        match create_private(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(file_error(error)),
            _ => {}
        }
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
            .pragma("journal_size_limit", LOG_BYTES)
            .pragma("cache_size", "-65536")
            .pragma("temp_store", "memory");
        let writer = connect(&writing, &writer_options, lock_timeout).await.map_err(open_error)?;
        let mut tx = writer.begin_with(SqlStr::from_static(BEGIN_FULL)).await.map_err(open_error)?;
        let has_schema = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'license_migrations')";
        let has_schema = tx.fetch_one(has_schema).await.map_err(open_error)?;
        let has_schema = has_schema.try_get(0).map_err(open_error)?;
        migrate(&mut *tx, SCHEMAS, has_schema, may_change).await?;
        // Loads the statistics that the migration may have written. Without this, a connection keeps those
        // from when it opened.
        tx.execute("ANALYZE sqlite_schema").await.map_err(open_error)?;
        tx.commit().await.map_err(open_error)?;
        let reader_options = options.clone().read_only(true);
        // All connections open the files now, while they are known to belong together.
        let readers = pool().max_connections(readers).connect_with(reader_options.clone()).await;
        let readers = readers.map_err(open_error)?;
        open_all(&readers).await.map_err(open_error)?;
        let list_readers = pool()
            .max_connections(list_readers)
            .max_lifetime(LIST_READER_AGE)
            .connect_lazy_with(reader_options);
        let checkpointer = options.busy_timeout(Duration::ZERO).pragma("wal_autocheckpoint", "0");
        let mut checkpointer = checkpointer.connect().await.map_err(open_error)?;
        checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)").await.map_err(open_error)?;
        let files = Arc::new(DatabaseFiles::of(path).map_err(file_error)?);
        let checkpoints = Checkpoints::start(checkpointer, writer.clone(), Arc::clone(&files));
        let dialect = Sqlite { checkpoints, files, list_timeout };
        Ok(Self::new(dialect, Pools { writer, readers, list_readers, replica: None }, Feed::default()))
    }
}

//! SQLite: one file, one machine, any number of processes.

mod direct;
mod filing;
mod gathering;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    Sqlite as Driver, SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection, Executor, SqlStr};
use tokio::time::{Instant, sleep};

use super::SqlStore;
use super::dialect::{Dialect, Survives, Value, driver};
use super::fault::is_contended;
use super::feed::Feed;
use super::filing::Filing;
use super::migrations::{OpenError, Schemas, migrate, open_error};
use super::retry::TRIES;
use super::turn::Turns;
use super::writer::Writer;
use direct::DirectConnection;
use filing::Filer;

/// Pages of the log beyond which a commit moves them into the file, where nobody has done so before: 128 MB.
const LOG_PAGES: &str = "32768";
/// Before another process is asked again whether it has opened the file.
const OPEN_PAUSE: Duration = Duration::from_millis(10);
// IMMEDIATE takes the one write lock at once; a transaction that reads first and writes later fails where another wrote. In
// WAL mode, NORMAL writes to the system at each commit and FULL waits for the disk as well.
const BEGIN_DURABLE: &str = "PRAGMA synchronous = FULL; BEGIN IMMEDIATE";
const BEGIN_QUICK: &str = "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE";
/// Records a batch, where the connection is set to that already: a statement alone is a transaction.
macro_rules! record {
    () => {
        "INSERT INTO recording (recorder, number, at, size, rows) VALUES ($1, $2, $3, $4, $5)"
    };
}

const SCHEMAS: &Schemas = &[
    ("first", include_str!("../../migrations/sqlite/0001_first.sql")),
    ("inbox", include_str!("../../migrations/sqlite/0002_inbox.sql")),
    ("outbox", include_str!("../../migrations/sqlite/0003_outbox.sql")),
    ("access", include_str!("../../migrations/sqlite/0004_access.sql")),
    ("usage", include_str!("../../migrations/sqlite/0005_usage.sql")),
    ("devices", include_str!("../../migrations/sqlite/0006_devices.sql")),
    ("batches", include_str!("../../migrations/sqlite/0007_batches.sql")),
    ("bindings", include_str!("../../migrations/sqlite/0008_bindings.sql")),
];

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
    direct: DirectConnection,
}

/// A store in a file of SQLite.
pub type SqliteStore = SqlStore<Sqlite>;

driver!(Driver, SqliteRow, SqliteArguments);

impl Dialect for Sqlite {
    type Db = Driver;

    const FOR_UPDATE: &'static str = "";
    const LOCKS_ALL: bool = true;
    const SKIP_LOCKED: &'static str = "";
    // Nobody outside this process listens.
    const NOTIFY: Option<&'static str> = None;

    fn begin_write(&self, survives: Survives) -> SqlStr {
        SqlStr::from_static(match survives {
            Survives::PowerCut => BEGIN_DURABLE,
            Survives::Kill | Survives::KillOrAgain => BEGIN_QUICK,
        })
    }

    fn begin_read(&self) -> SqlStr {
        SqlStr::from_static("BEGIN DEFERRED")
    }

    fn begin_snapshot(&self) -> SqlStr {
        self.begin_read()
    }

    fn reads_in_transactions(&self) -> bool {
        false
    }

    const RECORD: &'static str = concat!("PRAGMA synchronous = NORMAL; ", record!());
    const ABANDON: &'static str = "ROLLBACK";

    fn at_once(statements: &[&str]) -> Option<String> {
        Some(format!("{BEGIN_QUICK}; {}; COMMIT", statements.join("; ")))
    }

    const LOCK_FILING: Option<&'static str> = None;
    const GATHERS: bool = true;
    // Less than half a millisecond.
    const BACKGROUND_ROWS: u32 = 8;
    const FIND: &'static str = "instr";
    const CHANGED: &'static str = "changes() > 0";
    const SAYS_CHANGED: &'static str = "";

    fn items(n: u8) -> String {
        format!("json_each(${n})")
    }

    fn items_of(n: u8, name: &str) -> String {
        format!("json_each(${n}, '$.{name}')")
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
        // Of a CROSS JOIN the order is kept.
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

    fn record_here(&self, values: &[Value<'_>]) -> bool {
        self.direct.write(record!(), values)
    }

    fn close(&self) {
        self.direct.close();
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
        // No check before each use: a connection to a file does not break by itself, and the check costs more than a
        // read (87 µs with it, 35 µs without).
        let pool = || {
            SqlitePoolOptions::new()
                .test_before_acquire(false)
                .acquire_timeout(lock_timeout)
                .idle_timeout(None)
        };
        // SQLite has one writer at a time. One connection, and turns, where several would poll for the lock.
        let writing = pool().max_connections(1).max_lifetime(None).after_release(|connection, _| {
            Box::pin(async move {
                // Where a commit fails (a full disk), SQLite has ended the transaction itself, and the driver's count
                // of open ones is off for good. The ping comes behind the rollback that a dropped transaction asks
                // for. A commit that went well has nothing to wait for: the next one waits for this connection.
                if connection.is_in_transaction() {
                    connection.ping().await?;
                }
                Ok(!connection.is_in_transaction())
            })
        });
        let writer_options = options.clone().pragma("wal_autocheckpoint", LOG_PAGES);
        let writer = connect(&writing, &writer_options, lock_timeout).await.map_err(open_error)?;
        // The one that files moves the log into the file, so that no commit waits for it.
        // That licenses are there is seen to when their validations are recorded; none is ever removed.
        let own = options.clone().foreign_keys(false);
        let own = own.pragma("wal_autocheckpoint", "0").pragma("cache_size", "-16384");
        let mut tx = writer.begin_with(SqlStr::from_static(BEGIN_DURABLE)).await.map_err(open_error)?;
        migrate(&mut *tx, SCHEMAS).await?;
        // The planner's figures, which a migration may just have written, are read when a connection begins, or here.
        tx.execute("ANALYZE sqlite_schema").await.map_err(open_error)?;
        tx.commit().await.map_err(open_error)?;
        let readers = pool()
            .max_connections(readers)
            .max_lifetime(None)
            .connect_with(options.read_only(true))
            .await
            .map_err(open_error)?;
        let own = pool()
            .max_connections(1)
            .max_lifetime(None)
            .connect_with(own.pragma("temp_store", "memory"))
            .await
            .map_err(open_error)?;
        let background = Turns::one_at_a_time(lock_timeout);
        let writer = Writer::new(Turns::one_at_a_time(lock_timeout), writer);
        let filing = Filing::new(Filer { background: background.clone(), writer: writer.clone(), own });
        let direct = DirectConnection::open(path).map_err(|error| OpenError::Database(Box::new(error)))?;
        Ok(Self::new(Sqlite { direct }, writer, readers, background, Feed::default(), filing))
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

#[cfg(test)]
mod tests {
    use license_core::license::LicenseId;
    use license_core::store::{LicenseFilter, PageRequest};
    use sqlx::{AssertSqlSafe, Row};

    use super::*;
    use crate::sql::statements::Statements;

    /// Every look at the activations of a license is by a key of its own: however many there are, few are read.
    #[tokio::test]
    async fn activations_are_looked_up_and_not_read_through() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("licenses.db")).await.expect("a database");
        let statements = &store.statements;
        let (mut writer, mut reader) = (
            store.writer.connection().await.expect("a connection"),
            store.readers.acquire().await.expect("a connection"),
        );
        // The writer has made the tables, and has not opened the file since.
        for connection in [&mut *writer, &mut *reader] {
            check_plans(connection, statements).await;
        }
    }

    /// One look for each day and license: neither all rollups of a day nor all of a license are read, and of single validations
    /// only those of a range. What is not filed has no index.
    #[tokio::test]
    async fn usage_is_looked_up_and_not_read_through() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("licenses.db")).await.expect("a database");
        let mut reader = store.readers.acquire().await.expect("a connection");
        for (name, sql) in store.report_texts() {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let rows = sqlx::query(explain).fetch_all(&mut *reader).await.expect("a plan");
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            let steps = |table: &str| {
                let steps = plan.iter().filter(|step| step.split(' ').nth(1) == Some(table));
                steps.map(String::as_str).collect::<Vec<_>>()
            };
            let (rollups, validations) = (steps("rollups"), steps("validations"));
            assert!(
                rollups.iter().chain(&validations).all(|step| step.starts_with("SEARCH")),
                "{name}: {plan:#?}"
            );
            if name.ends_with("of a license") && !name.starts_with("recent") {
                let look = "SEARCH rollups USING PRIMARY KEY (day=? AND license_id=?)";
                assert!(rollups.contains(&look), "{name}: {plan:#?}");
                let gathered = "SEARCH gathered_rollups USING PRIMARY KEY (license_id=? AND day>? AND day<?)";
                assert_eq!(steps("gathered_rollups"), [gathered], "{name}: {plan:#?}");
            }
            let index = if name.ends_with("of a license") {
                "USING INDEX validations_of_license (license_id=? AND at>? AND at<?)"
            } else {
                "USING INDEX validations_by_time (at>? AND at<?)"
            };
            assert!(!validations.is_empty(), "{name}: {plan:#?}");
            assert!(validations.iter().all(|step| step.ends_with(index)), "{name}: {plan:#?}");
        }
    }

    /// What is next to be gathered is found by its key.
    #[tokio::test]
    async fn gathering_reads_what_it_copies() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("licenses.db")).await.expect("a database");
        let mut writer = store.writer.connection().await.expect("a connection");
        for sql in gathering::LOOKS {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let rows = sqlx::query(explain).fetch_all(&mut *writer).await.expect("a plan");
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            let look = "SEARCH rollups USING PRIMARY KEY (day=? AND (license_id,outcome,domain,device,country)>(?,?,?,?,?)";
            assert!(plan.iter().any(|step| step.starts_with(look)), "{sql}: {plan:#?}");
        }
    }

    async fn check_plans(connection: &mut sqlx::SqliteConnection, statements: &Statements) {
        let (filter, page) = (
            LicenseFilter::default(),
            PageRequest { after: Some(LicenseId::parse("lic_1").expect("an id")), limit: 100 },
        );
        let (page_of_licenses, _) = statements.licenses(&filter, 0, &page);
        for (name, sql) in [
            ("license_by_key", &statements.license_by_key),
            ("activations_of_claim", &statements.activations_of_claim),
            ("activation", &statements.activation),
            ("delete_activations", &statements.delete_activations),
            ("domains", &statements.domains),
            ("activations", &statements.activations),
            ("activations_of_kind", &statements.activations_of_kind),
            ("unseen_before", &statements.unseen_before),
            ("idle", &statements.idle),
            ("licenses", &page_of_licenses),
        ] {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sql.as_str()));
            let rows = sqlx::query(explain).fetch_all(&mut *connection).await.expect("a plan");
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            // Of a license with few activations all are read; the statement says how many at most.
            let mut all_of_few = usize::from(name == "license_by_key");
            assert!(plan.iter().any(|step| step.starts_with("SEARCH")), "{name}: {plan:?}");
            for step in plan {
                // Lists of parameters, and parts of the statement itself.
                let own = ["json_each", "SCAN each", "SCAN few", "SCAN (subquery"]
                    .iter()
                    .any(|part| step.contains(part));
                // What is not filed yet, once; and what was found before.
                let found =
                    ["batch_filing", "batches", "page", "fresh", "placed", "counted", "latest", "filed"];
                let own = own || found.iter().any(|part| step == format!("SCAN {part}"));
                // An index that is made for the statement is on what was found before.
                let whole = (step.contains("(license_id=?)") && !step.contains("AUTOMATIC"))
                    || (step.starts_with("SCAN") && !own);
                assert!(!whole || all_of_few > 0, "{name} reads through: {step}");
                all_of_few -= usize::from(whole);
            }
        }
    }
}

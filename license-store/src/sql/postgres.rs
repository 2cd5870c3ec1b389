//! PostgreSQL: one database, any number of nodes.

mod listener;
mod options;
mod servers;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use license_core::store::BoxError;
use sqlx::postgres::{PgArguments, PgPoolOptions, PgRow, Postgres as Driver};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqlSafeStr, SqlStr};

use super::database::Pools;
use super::dialect::{Dialect, Durability, Value, driver};
use super::feed::Feed;
use super::migrations::{OpenError, Schemas, migrate, open_error};
use super::store::SqlStore;
pub use options::PostgresOptions;
use options::millis;
use servers::{Failover, Servers};
pub use verify::{check_notices, inspect, verify};

const SCHEMAS: &Schemas = &[("initial", include_str!("../../migrations/postgres/0001_initial.sql"))];

/// The advisory lock of migrations. The number is arbitrary, but no other user of the database may have it.
const MIGRATION_LOCK: i64 = 0x6c69_6365_6e73_6531;
/// A connection that was idle for longer is pinged before use. A ping at each use would double the time
/// of a read.
const PING_AFTER: Duration = Duration::from_secs(1);
/// How long a report waits for a connection to the replica, before it reads from the database itself.
const REPLICA_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum pause between two reads of a snapshot, in PostgreSQL's syntax.
const SNAPSHOT_IDLE: &str = "10min";
/// Name of the connections in `pg_stat_activity`, unless the URL has one.
const APPLICATION: &str = "license-store";

/// The dialect of PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    begin_write: SqlStr,
    begin_repeatable: SqlStr,
    begin_read: SqlStr,
    begin_list: SqlStr,
    transaction_pooler: bool,
    /// If there are several servers.
    failover: Option<Arc<Failover>>,
}

/// A store in a PostgreSQL database, version 13 or later: any number of nodes.
pub type PostgresStore = SqlStore<Postgres>;

driver!(Driver, PgRow, PgArguments);

impl Postgres {
    pub(super) fn new(options: &PostgresOptions) -> Self {
        let timeouts = if options.transaction_pooler {
            // In the statement that begins the transaction, so that they need no round trip.
            format!("; {}", options.timeouts("LOCAL"))
        } else {
            String::new()
        };
        let begin = |mode: &str, more: &str| {
            AssertSqlSafe(format!("BEGIN ISOLATION LEVEL {mode}{timeouts}{more}")).into_sql_str()
        };
        Self {
            // Under REPEATABLE READ, which may be the server's default, a lock that had to wait fails if
            // its row changed.
            begin_write: begin("READ COMMITTED", ""),
            begin_repeatable: begin("READ COMMITTED", "; SET LOCAL synchronous_commit = off"),
            begin_read: begin("REPEATABLE READ READ ONLY", ""),
            // To compile a plan takes longer than to run it.
            begin_list: begin(
                "REPEATABLE READ READ ONLY",
                &format!(
                    "; SET LOCAL statement_timeout = {}; SET LOCAL jit = off",
                    millis(options.list_timeout)
                ),
            ),
            transaction_pooler: options.transaction_pooler,
            failover: None,
        }
    }
}

impl Dialect for Postgres {
    type Db = Driver;

    const FOR_UPDATE: &'static str = " FOR UPDATE";
    const FOR_SHARE: &'static str = " FOR SHARE";
    const SKIP_LOCKED: &'static str = " FOR UPDATE SKIP LOCKED";
    const SINGLE_WRITER: bool = false;
    // A server with two processors works on 100 rows for a few milliseconds.
    const STEP_ROWS: u32 = 100;
    // Sent with the commit, also to this node.
    const NOTIFY: Option<&'static str> = Some("SELECT pg_notify('license_changes', $1)");

    fn begin_write(&self, durability: Durability) -> SqlStr {
        match durability {
            // The commit waits for the disk, unless the server is configured otherwise.
            Durability::PowerLoss | Durability::ProcessCrash => self.begin_write.clone(),
            Durability::Repeatable => self.begin_repeatable.clone(),
        }
    }

    fn begin_compaction(&self) -> SqlStr {
        self.begin_repeatable.clone()
    }

    fn begin_read(&self) -> SqlStr {
        self.begin_read.clone()
    }

    fn begin_list(&self) -> SqlStr {
        self.begin_list.clone()
    }

    fn begin_snapshot(&self) -> SqlStr {
        // The reader may take longer to write the rows than a transaction may be idle.
        let begin = self.begin_read.as_str();
        let begin = format!("{begin}; SET LOCAL idle_in_transaction_session_timeout = '{SNAPSHOT_IDLE}'");
        AssertSqlSafe(begin).into_sql_str()
    }

    fn needs_transactions(&self) -> bool {
        // The driver sends the text of a statement in one round trip and its parameters in the next.
        // Without a transaction, a pooler may send the two to different connections.
        self.transaction_pooler
    }

    // Runs without BEGIN, so sessions are set to READ COMMITTED.
    const RECORD: &'static str = "WITH noted AS (INSERT INTO writers (id, last_batch, at) SELECT $1, $2, $3 WHERE $2 > 0 \
        ON CONFLICT (id) DO UPDATE SET last_batch = excluded.last_batch, at = excluded.at \
        WHERE writers.last_batch < excluded.last_batch RETURNING 1) \
        INSERT INTO journal (at, size, entries) SELECT $4, $5, $6 WHERE $2 = 0 OR EXISTS (SELECT 1 FROM noted)";

    // The number is arbitrary, but no other user of the database may have it.
    const LOCK_COMPACTION: Option<&'static str> = Some("SELECT pg_advisory_xact_lock(7811884315946738994)");

    // jsonb is parsed once; each access to a field of json parses the whole row.
    fn items(n: u8) -> String {
        format!("jsonb_array_elements(CAST(${n} AS jsonb))")
    }

    fn items_of(n: u8, name: &str) -> String {
        format!("jsonb_array_elements(CAST(${n} AS jsonb) -> '{name}')")
    }

    fn is_one_of(column: &str, n: u8) -> String {
        // An array is looked up in an index; `IN (SELECT …)` may become a join that reads all rows.
        format!("{column} = ANY (ARRAY(SELECT json_array_elements_text(CAST(${n} AS json))))")
    }

    fn is_one_of_hex(column: &str, n: u8) -> String {
        format!("{column} = ANY (ARRAY(SELECT decode(json_array_elements_text(CAST(${n} AS json)), 'hex')))")
    }

    fn unhex(text: &str) -> String {
        format!("decode({text}, 'hex')")
    }

    fn text_member(column: &str, name: &str) -> String {
        // jsonb would refuse an escaped NUL anywhere in the text.
        format!("(CAST({column} AS json) ->> '{name}')")
    }

    fn json_rows(columns: &str, select: &str) -> String {
        format!(
            "(SELECT CAST(COALESCE(json_agg(json_build_array({columns})), '[]') AS TEXT) FROM ({select}) AS listed)"
        )
    }

    fn looked_up(each: &str, table: &str, columns: &str, condition: &str) -> String {
        // An OFFSET keeps the planner from merging the inner select.
        format!(
            "{each} CROSS JOIN LATERAL (SELECT {columns} FROM {table} WHERE {condition} OFFSET 0) AS {table} WHERE 1 = 1"
        )
    }

    // The commit time of the last transaction that was replayed; before the first one, that of the
    // checkpoint from which the replica started.
    const REPLAYED_AT: &'static str = "SELECT CASE WHEN pg_is_in_recovery() THEN CAST(EXTRACT(EPOCH FROM \
        COALESCE(pg_last_xact_replay_timestamp(), (SELECT checkpoint_time FROM pg_control_checkpoint()))) \
        * 1000000 AS BIGINT) END AS at";

    const NAME: &'static str = "PostgreSQL";
    const INFO: &'static str = "SELECT current_setting('server_version') AS version, MAX(version) AS schema \
                                FROM license_migrations";
    const EXPLAIN: (&'static str, &'static str) = ("EXPLAIN", "QUERY PLAN");

    async fn fetch(
        &self,
        connection: &mut PgConnection,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> sqlx::Result<Vec<PgRow>> {
        fetch(connection, sql, values, !self.transaction_pooler).await
    }

    async fn limit_time(&self, _: &mut PgConnection, _: bool) -> sqlx::Result<()> {
        Ok(())
    }

    fn check_files(&self) -> Result<(), BoxError> {
        Ok(())
    }

    fn last_check(&self) -> Result<(), BoxError> {
        Ok(())
    }

    fn imported(&self) {
        // The server analyses changed tables itself.
    }

    async fn erased(&self) {}

    async fn switched(&self) -> sqlx::Error {
        match &self.failover {
            Some(failover) => failover.switched().await,
            None => std::future::pending().await,
        }
    }

    async fn close(&self) {}

    fn is_contended(code: &str) -> bool {
        // serialization_failure, deadlock_detected, lock_not_available
        matches!(code, "40001" | "40P01" | "55P03")
    }

    fn is_disk_full(code: &str) -> bool {
        code == "53100"
    }

    fn is_time_limit(code: &str) -> bool {
        // query_canceled
        code == "57014"
    }
}

impl SqlStore<Postgres> {
    /// Connects to the database at `url`, `postgres://user:password@host/name`, and migrates it if needed.
    /// Other nodes may do so at the same time.
    ///
    /// The connection is encrypted if the server offers it; `?sslmode=verify-full&sslrootcert=…` requires
    /// encryption and verifies the server. The tables are created in the first schema of the user's
    /// `search_path`.
    ///
    /// The URL may name several servers, as `HOST:PORT,HOST:PORT`. The store uses the one that accepts
    /// writes, and changes to another one after a failover. It accepts `target_session_attrs=read-write`
    /// and `primary`, which mean the same.
    ///
    /// # Errors
    /// Returns [`OpenError`] if the database cannot be opened. A database of a later version is not
    /// changed.
    pub async fn connect(url: &str, options: &PostgresOptions) -> Result<Self, OpenError> {
        let mut servers = Servers::parse(url)?;
        if options.transaction_pooler {
            servers = servers.map(|server| server.statement_cache_capacity(0));
        }
        let primary = servers.primary().await.map_err(open_error)?;
        let failover = Arc::new(Failover::new(primary.clone(), options.acquire_timeout));
        let several = servers.are_several();
        if several && options.listen_url.is_some() {
            let error = "a URL to listen is for a pooler, whose own URL names one address";
            return Err(OpenError::Database(error.into()));
        }
        let (before_acquire, after_release) = (Arc::clone(&failover), Arc::clone(&failover));
        let mut pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .before_acquire(move |connection, meta| {
                let outdated = before_acquire.is_outdated(meta.age);
                Box::pin(async move {
                    if outdated {
                        return Ok(false);
                    }
                    if meta.idle_for > PING_AFTER {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_release(move |connection, meta| {
                // The pool pings a connection before it takes it back, and waits without end for the
                // answer of a frozen server. An error closes the connection at once.
                let failover = Arc::clone(&after_release);
                Box::pin(async move {
                    if failover.is_outdated(meta.age) {
                        return Err(servers::switched_error());
                    }
                    if !several {
                        return Ok(true);
                    }
                    tokio::select! {
                        ping = connection.ping() => ping.map(|()| true),
                        error = failover.switched() => Err(error),
                    }
                })
            });
        if !options.transaction_pooler {
            // Not as start-up parameters: poolers reject those that they do not know, in session mode too.
            // Statements without BEGIN take the isolation level of the session.
            let isolation = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED";
            let timeouts = AssertSqlSafe(format!("{}; {isolation}", options.timeouts(""))).into_sql_str();
            pool = pool.after_connect(move |connection, _| {
                let timeouts = timeouts.clone();
                Box::pin(async move { connection.execute(timeouts).await.map(drop) })
            });
        }
        let list_readers =
            pool.clone().max_connections(options.list_connections).connect_lazy_with(primary.clone());
        let replica = options.read_replica.as_deref().map(Servers::parse).transpose()?;
        if replica.as_ref().is_some_and(Servers::are_several) {
            return Err(OpenError::Database("the URL of the read replica must name one server".into()));
        }
        let replica = replica.map(|replica| {
            let pool = pool.clone().max_connections(options.list_connections);
            pool.acquire_timeout(REPLICA_TIMEOUT).connect_lazy_with(replica.first())
        });
        let pool = pool.connect_with(primary).await.map_err(open_error)?;
        let mut dialect = Postgres::new(options);
        prepare(&mut *pool.acquire().await.map_err(open_error)?, options).await?;
        // The listener notices first that the server is gone. At a pooler, the pooler finds the primary.
        dialect.failover = Some(failover).filter(|_| several);
        let failover = dialect.failover.clone();
        let switched_pools = [pool.clone(), list_readers.clone()];
        let servers = options.listen_url.as_deref().map_or(Ok(servers), Servers::parse)?;
        let (listener, server) = listener::connect(&servers).await.map_err(open_error)?;
        if let Some(failover) = &failover {
            failover.switch(&server, &switched_pools);
        }
        let feed = Feed::with_receiver(|changes| {
            listener::run(listener, servers, changes, move |server| {
                if let Some(failover) = &failover {
                    failover.switch(server, &switched_pools);
                }
            })
        });
        let pools = Pools { writer: pool.clone(), readers: pool, list_readers, replica };
        Ok(Self::new(dialect, pools, feed))
    }
}

async fn prepare(connection: &mut PgConnection, options: &PostgresOptions) -> Result<(), OpenError> {
    let keep_prepared = !options.transaction_pooler;
    // A second node waits for the whole migration of the first, without a timeout.
    let begin =
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";
    let mut tx = connection.begin_with(begin).await.map_err(open_error)?;
    // The migrator names its prepared statements. Behind a pooler, another node may have left the same
    // names on this connection, and this node must leave none.
    if !keep_prepared {
        tx.execute("DEALLOCATE ALL").await.map_err(open_error)?;
    }
    let lock = SqlStr::from_static("SELECT pg_advisory_xact_lock($1)");
    fetch(&mut tx, lock, &[MIGRATION_LOCK.into()], keep_prepared).await.map_err(open_error)?;
    let encoding = SqlStr::from_static("SELECT current_setting('server_encoding') AS encoding");
    let encoding = fetch(&mut tx, encoding, &[], keep_prepared).await.map_err(open_error)?;
    let encoding: String = encoding[0].try_get("encoding").map_err(open_error)?;
    if encoding != "UTF8" {
        let error = format!("its encoding is {encoding}; create it with encoding UTF8");
        return Err(OpenError::Database(error.into()));
    }
    let has_schema = SqlStr::from_static("SELECT to_regclass('license_migrations') IS NOT NULL AS found");
    let has_schema = fetch(&mut tx, has_schema, &[], keep_prepared).await.map_err(open_error)?;
    let has_schema = has_schema[0].try_get("found").map_err(open_error)?;
    migrate(&mut *tx, SCHEMAS, has_schema, options.migrate).await?;
    if !keep_prepared {
        tx.execute("DEALLOCATE ALL").await.map_err(open_error)?;
    }
    tx.commit().await.map_err(open_error)
}

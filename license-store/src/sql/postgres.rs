//! PostgreSQL: one database, any number of nodes.

mod filing;
mod listener;

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow, Postgres as Driver};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqlSafeStr, SqlStr};

use super::SqlStore;
use super::dialect::{Dialect, Survives, Value, driver};
use super::feed::Feed;
use super::filing::Filing;
use super::migrations::{OpenError, Schemas, migrate, open_error};
use super::retry::TRIES;
use super::turn::Turns;
use super::writer::Writer;
use filing::Filer;

const SCHEMAS: &Schemas = &[
    ("first", include_str!("../../migrations/postgres/0001_first.sql")),
    ("inbox", include_str!("../../migrations/postgres/0002_inbox.sql")),
    ("outbox", include_str!("../../migrations/postgres/0003_outbox.sql")),
    ("access", include_str!("../../migrations/postgres/0004_access.sql")),
    ("usage", include_str!("../../migrations/postgres/0005_usage.sql")),
    ("devices", include_str!("../../migrations/postgres/0006_devices.sql")),
    ("batches", include_str!("../../migrations/postgres/0007_batches.sql")),
    ("bindings", include_str!("../../migrations/postgres/0008_bindings.sql")),
];

/// The advisory lock that a node holds while it migrates: any number that no other user of the database takes.
const MIGRATION_LOCK: i64 = 0x6c69_6365_6e73_6531;
/// A connection that was idle for longer is asked whether it still stands. Asking at each use would double the time of
/// a read.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// Connections that are held for recording, where a quarter of all is as many.
const MOST_HELD: usize = 4;
/// The longest pause between two reads of a snapshot, as the server reads it.
const SNAPSHOT_IDLE: &str = "10min";
/// How connections are named in the server's lists, unless the URL names them.
const APPLICATION: &str = "license-store";

/// How a store works with its server.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Most connections that are open at once.
    pub max_connections: u32,
    /// How long a call waits for a connection, a new one included, before the store is unavailable.
    pub acquire_timeout: Duration,
    /// How long the server works at one statement, or waits for the next one of a transaction, before it gives up and
    /// the store is unavailable. To the millisecond.
    pub statement_timeout: Duration,
    /// How long a call waits for others that change the same license, over all its tries, before the store is
    /// contended. To the millisecond.
    pub lock_timeout: Duration,
    /// Whether a pooler in transaction mode, such as pgbouncer, stands between, so that each transaction may run on
    /// another connection. Then nothing is kept on one: statements are not prepared for later, the timeouts are set in
    /// each transaction, and every read is a transaction. Slower than without; off by default.
    pub transaction_pooler: bool,
    /// Where to listen for what other nodes change, as a URL; `None`: at the database's own. A pooler in transaction mode
    /// passes no notices on: with one, this names the server behind it.
    pub listen_url: Option<String>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(3),
            transaction_pooler: false,
            listen_url: None,
        }
    }
}

impl PostgresOptions {
    /// Sets the timeouts, for a session or, with `LOCAL`, for a transaction.
    fn timeouts(&self, local: &str) -> String {
        // 0 would be no limit at all.
        let millis = |duration: Duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX).max(1);
        let (statement, lock) = (millis(self.statement_timeout), millis(self.lock_timeout / TRIES));
        // Without the last one, a node that is stopped amid a transaction holds its lock for as long as it is stopped.
        format!(
            "SET {local} statement_timeout = {statement}; SET {local} lock_timeout = {lock}; \
             SET {local} idle_in_transaction_session_timeout = {statement}"
        )
    }
}

/// The dialect of PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    begin_write: SqlStr,
    begin_again: SqlStr,
    begin_read: SqlStr,
    transaction_pooler: bool,
}

/// A store in a database of PostgreSQL, version 13 or later.
pub type PostgresStore = SqlStore<Postgres>;

driver!(Driver, PgRow, PgArguments);

impl Postgres {
    fn new(options: &PostgresOptions) -> Self {
        let timeouts = if options.transaction_pooler {
            // In the text that begins the transaction, so that they cost no time of their own.
            format!("; {}", options.timeouts("LOCAL"))
        } else {
            String::new()
        };
        let begin = |mode: &str, more: &str| {
            AssertSqlSafe(format!("BEGIN ISOLATION LEVEL {mode}{timeouts}{more}")).into_sql_str()
        };
        Self {
            // Under REPEATABLE READ, as a server's default may be, the lock is taken on the row of before the wait.
            begin_write: begin("READ COMMITTED", ""),
            begin_again: begin("READ COMMITTED", "; SET LOCAL synchronous_commit = off"),
            begin_read: begin("REPEATABLE READ READ ONLY", ""),
            transaction_pooler: options.transaction_pooler,
        }
    }
}

impl Dialect for Postgres {
    type Db = Driver;

    const FOR_UPDATE: &'static str = " FOR UPDATE";
    const LOCKS_ALL: bool = false;
    const SKIP_LOCKED: &'static str = " FOR UPDATE SKIP LOCKED";
    // Sent with the commit, and to this node as well.
    const NOTIFY: Option<&'static str> = Some("SELECT pg_notify('license_changes', $1)");

    fn begin_write(&self, survives: Survives) -> SqlStr {
        match survives {
            // Waits for the disk unless the server is set otherwise.
            Survives::PowerCut | Survives::Kill => self.begin_write.clone(),
            Survives::KillOrAgain => self.begin_again.clone(),
        }
    }

    fn begin_read(&self) -> SqlStr {
        self.begin_read.clone()
    }

    fn begin_snapshot(&self) -> SqlStr {
        // Who writes the rows somewhere may be slower than a node may be idle.
        let begin = self.begin_read.as_str();
        let begin = format!("{begin}; SET LOCAL idle_in_transaction_session_timeout = '{SNAPSHOT_IDLE}'");
        AssertSqlSafe(begin).into_sql_str()
    }

    fn reads_in_transactions(&self) -> bool {
        // The driver sends a statement's text in one round trip and its parameters in the next: a pooler may hand the
        // two to different connections unless a transaction binds them.
        self.transaction_pooler
    }

    // A statement of its own is a transaction; sessions are set to READ COMMITTED.
    const RECORD: &'static str = "WITH noted AS (INSERT INTO recorders (id, last_batch, at) SELECT $1, $2, $3 WHERE $2 > 0 ON CONFLICT (id) DO UPDATE \
        SET last_batch = excluded.last_batch, at = excluded.at WHERE recorders.last_batch < excluded.last_batch RETURNING 1) \
        INSERT INTO batches (size, rows) SELECT $4, $5 WHERE $2 = 0 OR EXISTS (SELECT 1 FROM noted)";
    const ABANDON: &'static str = "";

    fn at_once(_: &[&str]) -> Option<String> {
        None
    }

    const LOCK_FILING: Option<&'static str> = Some(filing::WAIT);
    const GATHERS: bool = false;
    // Others wait for a processor: of 100 rows, a server of two is busy with one for 8 ms.
    const BACKGROUND_ROWS: u32 = 25;
    const FIND: &'static str = "strpos";
    const CHANGED: &'static str = "1 = 1";
    const SAYS_CHANGED: &'static str = " RETURNING 1";

    // Of type jsonb, which is parsed once; of a json each look at a field parses all of its row.
    fn items(n: u8) -> String {
        format!("jsonb_array_elements(CAST(${n} AS jsonb))")
    }

    fn items_of(n: u8, name: &str) -> String {
        format!("jsonb_array_elements(CAST(${n} AS jsonb) -> '{name}')")
    }

    fn is_one_of(column: &str, n: u8) -> String {
        // An array is looked up in an index; `IN (SELECT …)` may be planned as a join that reads all rows.
        format!("{column} = ANY (ARRAY(SELECT json_array_elements_text(CAST(${n} AS json))))")
    }

    fn is_one_of_hex(column: &str, n: u8) -> String {
        format!("{column} = ANY (ARRAY(SELECT decode(json_array_elements_text(CAST(${n} AS json)), 'hex')))")
    }

    fn unhex(text: &str) -> String {
        format!("decode({text}, 'hex')")
    }

    fn json_rows(columns: &str, select: &str) -> String {
        format!(
            "(SELECT CAST(COALESCE(json_agg(json_build_array({columns})), '[]') AS TEXT) FROM ({select}) AS listed)"
        )
    }

    fn looked_up(each: &str, table: &str, columns: &str, condition: &str) -> String {
        // With an OFFSET the inner select stays one of its own.
        format!(
            "{each} CROSS JOIN LATERAL (SELECT {columns} FROM {table} WHERE {condition} OFFSET 0) AS {table} WHERE 1 = 1"
        )
    }

    async fn fetch(
        &self,
        connection: &mut PgConnection,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> sqlx::Result<Vec<PgRow>> {
        fetch(connection, sql, values, !self.transaction_pooler).await
    }

    fn record_here(&self, _: &[Value<'_>]) -> bool {
        false
    }

    fn close(&self) {}

    fn is_contended(code: &str) -> bool {
        // serialization_failure, deadlock_detected, lock_not_available
        matches!(code, "40001" | "40P01" | "55P03")
    }
}

impl SqlStore<Postgres> {
    /// Connects to the database at `url`, `postgres://user:password@host/name`, and brings it to the schema of this
    /// version where needed. Other nodes may do so at the same time.
    ///
    /// The connection is encrypted where the server offers it; `?sslmode=verify-full&sslrootcert=…` makes sure of it
    /// and of the server. The tables are made in the first schema of the user's `search_path`.
    ///
    /// # Errors
    /// [`OpenError`]; a database of a later version is left as it is.
    pub async fn connect(url: &str, options: &PostgresOptions) -> Result<Self, OpenError> {
        let mut server = server(url)?;
        let listen = self::server(options.listen_url.as_deref().unwrap_or(url))?;
        let mut pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED_IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            });
        if options.transaction_pooler {
            server = server.statement_cache_capacity(0);
        } else {
            // Not as a parameter at the start: poolers, in session mode too, refuse those that they don't know.
            // Statements that are a transaction of their own are not begun with an isolation that is named.
            let isolation = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED";
            let timeouts = AssertSqlSafe(format!("{}; {isolation}", options.timeouts(""))).into_sql_str();
            pool = pool.after_connect(move |connection, _| {
                let timeouts = timeouts.clone();
                Box::pin(async move { connection.execute(timeouts).await.map(drop) })
            });
        }
        let pool = pool.connect_with(server).await.map_err(open_error)?;
        let dialect = Postgres::new(options);
        prepare(&mut *pool.acquire().await.map_err(open_error)?, !options.transaction_pooler).await?;
        let listener = listener::connect(&listen).await.map_err(open_error)?;
        let feed = Feed::fed_by(|filler| listener::run(listener, listen, filler));
        let (begin, keep_prepared) = (dialect.begin_write(Survives::PowerCut), !options.transaction_pooler);
        let filing = Filing::new(Filer { pool: pool.clone(), begin, keep_prepared });
        let held = (options.max_connections as usize / 4).min(MOST_HELD);
        let writer = Writer::new(Turns::at_once(), pool.clone()).holding(held, TRUSTED_IDLE);
        Ok(Self::new(dialect, writer, pool, Turns::at_once(), feed, filing))
    }
}

fn server(url: &str) -> Result<PgConnectOptions, OpenError> {
    let server: PgConnectOptions = url.parse().map_err(open_error)?;
    let named = server.get_application_name().is_some();
    let server = if named { server } else { server.application_name(APPLICATION) };
    // Poolers refuse it as a parameter at the start, and no column is a float.
    Ok(server.extra_float_digits(None))
}

async fn prepare(connection: &mut PgConnection, keep_prepared: bool) -> Result<(), OpenError> {
    // Whoever comes second waits for the whole migration of the first, however long.
    let begin =
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";
    let mut tx = connection.begin_with(begin).await.map_err(open_error)?;
    // The migrator names the statements that it prepares. Behind a pooler another node may have left the same names on
    // this connection, and this one shall leave none.
    if !keep_prepared {
        tx.execute("DEALLOCATE ALL").await.map_err(open_error)?;
    }
    let lock = SqlStr::from_static("SELECT pg_advisory_xact_lock($1)");
    fetch(&mut tx, lock, &[MIGRATION_LOCK.into()], keep_prepared).await.map_err(open_error)?;
    let encoding = SqlStr::from_static("SELECT current_setting('server_encoding') AS encoding");
    let encoding = fetch(&mut tx, encoding, &[], keep_prepared).await.map_err(open_error)?;
    let encoding: String = encoding[0].try_get("encoding").map_err(open_error)?;
    if encoding != "UTF8" {
        let why = format!("its encoding is {encoding}; licenses need UTF8");
        return Err(OpenError::Database(why.into()));
    }
    migrate(&mut *tx, SCHEMAS).await?;
    if !keep_prepared {
        tx.execute("DEALLOCATE ALL").await.map_err(open_error)?;
    }
    tx.commit().await.map_err(open_error)
}

#[cfg(test)]
mod tests {
    use license_core::store::LicenseStore;
    use license_core::usage::Validation;

    use super::*;
    use crate::sql::one_license::one_license;
    use crate::sql::statements::Statements;
    use test_database::TestDatabase;

    /// What the server does for a statement, as `EXPLAIN` tells it: for these parameters, as at the first five calls, or
    /// for any, as afterwards.
    async fn plan(connection: &mut PgConnection, mode: &str, sql: &SqlStr, parameters: &str) -> String {
        let statement = format!("PREPARE planned AS {}; SET plan_cache_mode = {mode}", sql.as_str());
        connection.execute(AssertSqlSafe(statement)).await.expect("a statement");
        let explain = format!("EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) EXECUTE planned ({parameters})");
        let rows = connection.fetch_all(AssertSqlSafe(explain)).await.expect("a plan");
        connection.execute("DEALLOCATE planned").await.expect("was prepared");
        rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
    }

    /// The most rows that a step of the plan read or threw away.
    fn most_rows(plan: &str) -> u64 {
        let words: Vec<_> = plan.split([' ', '=', '\n', ')']).collect();
        let read = words
            .windows(4)
            .filter(|words| words[0] == "(actual" && words[1] == "rows")
            .map(|words| words[2]);
        let removed = plan.lines().filter_map(|line| line.trim().strip_prefix("Rows Removed by Filter: "));
        read.chain(removed).map(|number| number.parse::<u64>().expect("a number")).max().expect("a figure")
    }

    #[tokio::test]
    async fn a_license_with_many_activations_is_looked_up_and_not_read_through() {
        let Some(database) = TestDatabase::new().await else { return };
        let store =
            PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.expect("a store");
        let mut connection = database.connect().await;
        // Statistics of before one license grew: all have one domain, none has a device.
        let fill = "
            INSERT INTO licenses SELECT 'lic_' || n, sha256(CAST(n AS TEXT)::bytea), '', 'active', 'p', 'a@b.c',
                NULL, NULL, 1, 0, 1, NULL, NULL, '{}', 1, 1 FROM generate_series(1, 20000) AS n;
            INSERT INTO activations SELECT 'lic_' || n, 'act_' || n || '_2', 'domain', 'some-name.example.com', 1
                FROM generate_series(1, 20000) AS n;
            ANALYZE;
            INSERT INTO activations SELECT 'lic_5', 'act_5_' || n, CASE n % 2 WHEN 0 THEN 'domain' ELSE 'device' END,
                'd' || n, 1 FROM generate_series(10, 20000) AS n;
            UPDATE licenses SET domains_used = 9996, devices_used = 9995 WHERE id = 'lic_5';
            UPDATE licenses SET bindings = NULL WHERE id = 'lic_7'";
        connection.execute(fill).await.expect("rows");
        let statements: &Statements = &store.statements;
        let three = r#"'["x.d9998", "*.d9998", "d9998"]'"#;
        let cases = [
            ("license_by_key", &statements.license_by_key, format!("sha256('5'), {three}, 'd9999'")),
            ("license_by_key of few", &statements.license_by_key, format!("sha256('6'), {three}, 'd9999'")),
            (
                "license_by_key of before",
                &statements.license_by_key,
                format!("sha256('7'), {three}, 'd9999'"),
            ),
            ("activations_of_claim", &statements.activations_of_claim, format!("'lic_5', {three}, 'd9999'")),
            ("activation", &statements.activation, "'lic_5', 'act_5_777'".to_owned()),
            ("activations", &statements.activations, "'lic_5', '', 26".to_owned()),
            ("activations_of_kind", &statements.activations_of_kind, "'lic_5', '', 26, 'domain'".to_owned()),
            ("delete_activations", &statements.delete_activations, r#"'lic_5', '["act_5_777"]'"#.to_owned()),
            ("lock_license", &statements.lock_license, "'lic_5'".to_owned()),
        ];
        for (name, sql, parameters) in cases {
            for mode in ["force_custom_plan", "force_generic_plan"] {
                let plan = plan(&mut connection, mode, sql, &parameters).await;
                let rows = most_rows(&plan);
                assert!(rows <= 26, "{name} goes through {rows} rows:\n{plan}");
            }
        }
    }

    /// Of what is filed at once nothing is compared each with each.
    #[tokio::test]
    async fn what_is_filed_is_looked_up() {
        let Some(database) = TestDatabase::new().await else { return };
        let store =
            PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.expect("a store");
        store.close().await;
        let mut connection = database.connect().await;
        let fill = "
            INSERT INTO licenses SELECT 'lic_' || n, sha256(CAST(n AS TEXT)::bytea), '', 'active', 'p', 'a@b.c',
                NULL, NULL, 0, 1, 1, NULL, NULL, '{}', 1, 1 FROM generate_series(1, 3000) AS n;
            INSERT INTO activations SELECT 'lic_' || n, 'act_' || n || '_2', 'device', 'x', 1
                FROM generate_series(1, 3000) AS n;
            ANALYZE";
        connection.execute(fill).await.expect("rows");
        let record = "INSERT INTO batches (size, rows)
            SELECT COUNT(*), json_agg(json_build_array('lic_' || n, n, 'VALID', NULL, 'x'))
            FROM generate_series(1, 2000) AS n GROUP BY n / 100";
        for (mode, times) in [("force_custom_plan", 1), ("force_generic_plan", 2)] {
            connection.execute(record).await.expect("rows");
            let plan = plan(&mut connection, mode, &SqlStr::from_static(filing::FILE), "2000").await;
            assert!(!plan.contains("Removed by Join Filter"), "compares each with each:\n{plan}");
            let seen = "SELECT COUNT(*) FROM activation_usage WHERE validations = ";
            let seen = sqlx::query_scalar(AssertSqlSafe(format!("{seen}{times}")));
            let seen: i64 = seen.fetch_one(&mut connection).await.expect("a count");
            assert_eq!(seen, 2_000, "each is noted");
        }
    }

    /// One look for each day, whoever else used theirs on it; and of single validations those of a range.
    #[tokio::test]
    async fn usage_is_looked_up_and_not_read_through() {
        let Some(database) = TestDatabase::new().await else { return };
        let store =
            PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.expect("a store");
        let mut connection = database.connect().await;
        // 40 days of 500 licenses, one validation a day.
        let fill = "
            INSERT INTO validations (sequence, license_id, at, outcome, domain)
                SELECT day * 500 + n, 'lic_' || n, (20000 + day) * 86400000000 + n, 'VALID', 'd' || n || '.com'
                FROM generate_series(0, 39) AS day, generate_series(1, 500) AS n;
            INSERT INTO rollups SELECT at / 86400000000, license_id, outcome, domain, '', '', 1, at, at FROM validations;
            ANALYZE";
        connection.execute(fill).await.expect("rows");
        let day = |number: i64| (20_000 + number) * 86_400_000_000;
        // Thirty days from the middle of one to the middle of another.
        let (from, to) = (day(5) + 43_200_000_000, day(35) + 43_200_000_000);
        let ranges = format!("20006, 20035, {from}, {}, {}, {to}, {from}, {to}", day(6), day(35));
        for (name, text) in store.report_texts() {
            let parameters = match name {
                "recent of all" => format!("{from}, {to}, {to}, 9, 26"),
                "recent of a license" => format!("'lic_7', {from}, {to}, {to}, 9, 26"),
                name if name.ends_with("of a license") => format!("'lic_7', {ranges}"),
                _ => continue,
            };
            for mode in ["force_custom_plan", "force_generic_plan"] {
                let plan =
                    plan(&mut connection, mode, &AssertSqlSafe(text.as_str()).into_sql_str(), &parameters)
                        .await;
                let rows = most_rows(&plan);
                assert!(rows <= 31, "{name} goes through {rows} rows:\n{plan}");
            }
        }
    }

    /// A store of so many connections with a license, and a validation of that.
    async fn store(database: &TestDatabase, max_connections: u32) -> (PostgresStore, Validation) {
        let options = PostgresOptions { max_connections, ..PostgresOptions::default() };
        let store = PostgresStore::connect(&database.url(), &options).await.expect("a store");
        let validation = one_license(&store).await;
        (store, validation)
    }

    /// The server's processes that have recorded last.
    async fn recorders(database: &TestDatabase) -> i64 {
        let recorders = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'WITH noted%'";
        database.connect().await.fetch_one(recorders).await.expect("a count").get(0)
    }

    /// A connection stays with those who record, so that a batch is one way to the server and back, to a process that is at hand.
    #[tokio::test]
    async fn one_connection_records_batch_after_batch() {
        let Some(database) = TestDatabase::new().await else { return };
        let (store, validation) = store(&database, 8).await;
        // All others are idle, and were so for longer.
        let mut all = Vec::new();
        for _ in 0..7 {
            all.push(store.writer.pool().acquire().await.expect("a connection"));
        }
        drop(all);
        for _ in 0..20 {
            store.record(std::slice::from_ref(&validation), None).await.expect("recorded");
        }
        assert_eq!(recorders(&database).await, 1);
        store.close().await;
    }

    /// What is held is no one's who has not: there are as many connections for the others as was said, and a store ends as one that
    /// holds nothing.
    #[tokio::test]
    async fn what_is_held_is_there_for_others() {
        let Some(database) = TestDatabase::new().await else { return };
        let (store, validation) = store(&database, 4).await;
        store.record(std::slice::from_ref(&validation), None).await.expect("recorded");
        let mut reads = Vec::new();
        for _ in 0..4 {
            reads.push(store.begin_read().await.expect("there are four"));
        }
        drop(reads);
        store.record(std::slice::from_ref(&validation), None).await.expect("recorded");
        tokio::time::timeout(Duration::from_secs(10), store.close()).await.expect("it waits for nobody");
        store.record(&[validation], None).await.expect_err("it is closed");
    }

    /// Whoever drops a store may be in no runtime.
    #[test]
    fn a_store_is_dropped_anywhere() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let Some(database) = runtime.block_on(TestDatabase::new()) else { return };
        let store = runtime.block_on(async {
            let (store, validation) = store(&database, 8).await;
            store.record(&[validation], None).await.expect("recorded");
            store
        });
        drop(store);
        drop(database);
        drop(runtime);
    }
}

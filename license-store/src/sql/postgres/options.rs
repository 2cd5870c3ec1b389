//! Settings of a PostgreSQL store.

use std::fmt;
use std::time::Duration;

use crate::sql::retry::ATTEMPTS;

/// Settings of a [`PostgresStore`](super::PostgresStore).
#[derive(Clone)]
pub struct PostgresOptions {
    /// Maximum number of connections, without those for lists.
    pub max_connections: u32,
    /// Maximum number of connections for lists, reports and exports. Validations never wait for these.
    pub list_connections: u32,
    /// How long the server works on a statement of a list or a report before it fails with
    /// [`QueryTooBroad`](license_core::StoreError::QueryTooBroad). In whole milliseconds. Exports have the
    /// `statement_timeout` for each page.
    pub list_timeout: Duration,
    /// How long a call waits for a connection, a new one included, before the store is unavailable.
    pub acquire_timeout: Duration,
    /// How long the server works on one statement, or waits for the next one of a transaction, before the
    /// store is unavailable. In whole milliseconds.
    pub statement_timeout: Duration,
    /// How long a call waits for locks, summed over its attempts, before it fails as contended. In whole
    /// milliseconds.
    pub lock_timeout: Duration,
    /// Whether there is a pooler in transaction mode, such as pgbouncer, between node and server. Each
    /// transaction may then run on another connection, so statements are not cached, timeouts are set in each
    /// transaction, and every read is a transaction. Slower; off by default.
    pub transaction_pooler: bool,
    /// URL at which to listen for changes of other nodes; `None` for that of the database. A pooler in
    /// transaction mode does not forward notifications; with one, set the URL of the server itself.
    pub listen_url: Option<String>,
    /// URL of a streaming replica for usage reports and rollups. The `as_of` of a report is not later than
    /// the last transaction that the replica has. While it cannot be reached, they read from the database itself.
    pub read_replica: Option<String>,
    /// Whether to create the tables in an empty database, and to migrate one of an earlier version. If not,
    /// connecting fails with [`OlderSchema`](crate::sql::OpenError::OlderSchema), and the user of the
    /// database needs no right to change tables.
    pub migrate: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 10,
            list_connections: 2,
            list_timeout: Duration::from_secs(2),
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(3),
            transaction_pooler: false,
            listen_url: None,
            read_replica: None,
            migrate: true,
        }
    }
}

/// Does not show `listen_url` and `read_replica`, which may contain passwords.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("max_connections", &self.max_connections)
            .field("list_connections", &self.list_connections)
            .field("list_timeout", &self.list_timeout)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .field("transaction_pooler", &self.transaction_pooler)
            .field("migrate", &self.migrate)
            .finish_non_exhaustive()
    }
}

/// Returns a timeout in PostgreSQL's unit. 0 would be no limit at all.
pub(super) fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX).max(1)
}

impl PostgresOptions {
    /// Sets the timeouts, for a session or, with `LOCAL`, for a transaction.
    pub(super) fn timeouts(&self, local: &str) -> String {
        let (statement, lock) = (millis(self.statement_timeout), millis(self.lock_timeout / ATTEMPTS));
        // Without the last one, a node that is suspended in a transaction holds its lock until it resumes.
        format!(
            "SET {local} statement_timeout = {statement}; SET {local} lock_timeout = {lock}; \
             SET {local} idle_in_transaction_session_timeout = {statement}"
        )
    }
}

//! Verifies a PostgreSQL database.

use std::time::Duration;

use chrono::{DateTime, Utc};
use license_core::key::Secret;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, SqlStr};

use super::servers::Servers;
use super::{Postgres, SCHEMAS, fetch, listener};
use crate::sql::OpenError;
use crate::sql::dialect::{Value, values};
use crate::sql::inspection::{Inspection, inspect as inspect_tables};
use crate::sql::rows::Rows;
use crate::sql::verify::{self, Fault, Snapshot, Verification, VerifyError};

/// Reads from one snapshot, for as long as it takes.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL jit = off";

/// The oldest version of PostgreSQL that works.
const OLDEST: i64 = 13;
/// The channel of a test notice.
const CHANNEL: &str = "license_doctor";
const SERVER: &str = "SELECT 'PostgreSQL ' || current_setting('server_version') AS version, \
    CAST(current_setting('server_version_num') AS BIGINT) AS number, \
    CAST(CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END AS BIGINT) AS replica, \
    CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS time";

/// Verifies the database at `url`, and writes nothing. Servers may be using it.
///
/// Without a `secret`, no key is opened. `now` is the time of this machine.
///
/// # Errors
/// Returns [`VerifyError`] if the database cannot be read. What is wrong with a database that can be read is
/// in the [`Verification`].
pub async fn verify(
    url: &str,
    secret: Option<&Secret>,
    now: DateTime<Utc>,
) -> Result<Verification, VerifyError> {
    read(url, async |snapshot| verify::verify(snapshot, secret, now).await).await
}

/// Inspects the database at `url`, and writes nothing. Servers may be using it.
///
/// # Errors
/// Returns [`VerifyError`] if the database cannot be read.
pub async fn inspect(url: &str) -> Result<Inspection, VerifyError> {
    read(url, async |snapshot| {
        let server = Rows(snapshot.rows(&SqlStr::from_static(SERVER), &[]).await?);
        let server = server.first("server", "", |row| {
            let major = row.int("number")? / 10_000;
            let obstacle = if row.int("replica")? == 1 {
                Some("it is a replica, which cannot be written; use the URL of the primary".to_owned())
            } else if major < OLDEST {
                Some(format!("it has version {major}, but version {OLDEST} or later is needed"))
            } else {
                None
            };
            let (version, time) = (row.text("version")?, Some(row.time("time")?));
            Ok(Inspection { version, obstacle, time, ..Inspection::default() })
        })?;
        inspect_tables(snapshot, server.unwrap_or_default()).await
    })
    .await
}

/// Sends a notice at `url`, and waits until it arrives at `listen_url`, as nodes do for changes of each
/// other.
///
/// # Errors
/// Returns [`VerifyError`] if the notice does not arrive within `timeout`.
pub async fn check_notices(url: &str, listen_url: &str, timeout: Duration) -> Result<(), VerifyError> {
    let sent = async {
        let (mut listener, _) = listener::connect(&servers(listen_url)?).await?;
        listener.listen(CHANNEL).await?;
        let mut sender = options(url).await?.connect().await?;
        sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(&mut sender).await?;
        sender.close().await?;
        listener.recv().await?;
        Ok(())
    };
    let lost = |_| Err(VerifyError::Database("a notice did not arrive".into()));
    tokio::time::timeout(timeout, sent).await.unwrap_or_else(lost)
}

fn servers(url: &str) -> Result<Servers, VerifyError> {
    Servers::parse(url).map_err(|error| match error {
        OpenError::Database(source) => VerifyError::Database(source),
        error => VerifyError::Database(error.into()),
    })
}

async fn options(url: &str) -> Result<PgConnectOptions, VerifyError> {
    let options = servers(url)?.primary().await?;
    // A pooler may give each transaction another connection. Statements that read a whole table are slow.
    Ok(options.statement_cache_capacity(0).disable_statement_logging())
}

/// Reads from one snapshot.
async fn read<T>(
    url: &str,
    work: impl AsyncFnOnce(&mut PostgresSnapshot) -> Result<T, VerifyError>,
) -> Result<T, VerifyError> {
    let mut snapshot = PostgresSnapshot(options(url).await?.connect().await?);
    let result = match snapshot.0.execute(BEGIN).await {
        Ok(_) => work(&mut snapshot).await,
        Err(error) => Err(error.into()),
    };
    let closed = snapshot.0.close().await;
    let result = result?;
    closed?;
    Ok(result)
}

struct PostgresSnapshot(PgConnection);

impl Snapshot for PostgresSnapshot {
    type Dialect = Postgres;

    const KNOWN_SCHEMA: usize = SCHEMAS.len();
    const INTEGRITY: &'static str = "the indexes are valid";

    async fn rows(&mut self, sql: &SqlStr, values: &[Value<'_>]) -> sqlx::Result<Vec<PgRow>> {
        fetch(&mut self.0, sql.clone(), values, false).await
    }

    async fn damage(&mut self) -> sqlx::Result<Vec<Fault>> {
        let sql = SqlStr::from_static(
            "SELECT CAST(c.relname AS TEXT) AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND NOT i.indisvalid",
        );
        let invalid = Rows(self.rows(&sql, &[]).await?);
        let names = invalid.all("pg_index", "", |row| row.text("name"));
        let names = names.map_err(|error| sqlx::Error::Decode(error.into()))?;
        let fault =
            |subject| Fault { subject, problem: "the index is invalid; run REINDEX on it".to_owned() };
        Ok(names.into_iter().map(fault).collect())
    }

    async fn has_table(&mut self, name: &str) -> sqlx::Result<bool> {
        let sql = SqlStr::from_static("SELECT 1 AS found WHERE to_regclass($1) IS NOT NULL");
        Ok(!self.rows(&sql, values![name]).await?.is_empty())
    }
}

//! Verifies a PostgreSQL database.

use chrono::{DateTime, Utc};
use license_core::key::Secret;
use sqlx::postgres::PgRow;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, SqlStr};

use super::{Postgres, SCHEMAS, fetch, server};
use crate::sql::OpenError;
use crate::sql::dialect::{Value, values};
use crate::sql::rows::Rows;
use crate::sql::verify::{self, Fault, Snapshot, Verification, VerifyError};

/// Reads from one snapshot, for as long as it takes.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL jit = off";

/// Verifies the database at `url`, and writes nothing. Servers may be using it.
///
/// Without a `secret`, no key is opened. `now` is the time of this machine.
///
/// # Errors
/// Returns [`VerifyError`] if the database cannot be read. What is wrong with a database that can be read is in the
/// [`Verification`].
pub async fn verify(
    url: &str,
    secret: Option<&Secret>,
    now: DateTime<Utc>,
) -> Result<Verification, VerifyError> {
    let options = server(url).map_err(|error| match error {
        OpenError::Database(source) => VerifyError::Database(source),
        error => VerifyError::Database(error.into()),
    })?;
    // A pooler may give each transaction another connection, but this is one.
    let mut snapshot = PostgresSnapshot(options.statement_cache_capacity(0).connect().await?);
    let verified = async {
        snapshot.0.execute(BEGIN).await?;
        verify::verify(&mut snapshot, secret, now).await
    };
    let verified = verified.await;
    let closed = snapshot.0.close().await;
    let verified = verified?;
    closed?;
    Ok(verified)
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

//! Verifies a database file.

use std::path::Path;

use chrono::{DateTime, Utc};
use license_core::key::Secret;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions, Connection, Executor, Row, SqlStr, SqliteConnection};

use super::connect::{is_damaged, log_of};
use super::files::has_bytes;
use super::{SCHEMAS, Sqlite, fetch};
use crate::sql::dialect::{Value, values};
use crate::sql::inspection::{Inspection, inspect as inspect_tables};
use crate::sql::rows::Rows;
use crate::sql::verify::{self, Fault, Snapshot, Verification, VerifyError};

/// Verifies a database file or a backup, and writes nothing. Servers may be using it, also in this process.
///
/// Without a `secret`, no key is opened. `now` is the time of this machine.
///
/// # Errors
/// Returns [`VerifyError`] if there is no database, or it cannot be read. What is wrong with a database that
/// can be read is in the [`Verification`].
pub async fn verify(
    path: &Path,
    secret: Option<&Secret>,
    now: DateTime<Utc>,
) -> Result<Verification, VerifyError> {
    read(path, async |snapshot| verify::verify(snapshot, secret, now).await).await
}

/// Inspects a database file, and writes nothing. Servers may be using it, also in this process.
///
/// # Errors
/// Returns [`VerifyError`] if there is no database, or it cannot be read.
pub async fn inspect(path: &Path) -> Result<Inspection, VerifyError> {
    read(path, async |snapshot| {
        let version = SqlStr::from_static("SELECT 'SQLite ' || sqlite_version() AS version");
        let version = Rows(snapshot.rows(&version, &[]).await?);
        let version = version.first("sqlite", "", |row| row.text("version"))?.unwrap_or_default();
        inspect_tables(snapshot, Inspection { version, ..Inspection::default() }).await
    })
    .await
}

/// Reads from one snapshot of a file.
async fn read<T>(
    path: &Path,
    work: impl AsyncFnOnce(&mut SqliteSnapshot) -> Result<T, VerifyError>,
) -> Result<T, VerifyError> {
    if !has_bytes(path) {
        return Err(VerifyError::NoDatabase { path: path.to_owned() });
    }
    // With a log, servers use the file, or were killed. Without one, reading it would create a log, which a
    // server of another user could not open.
    let has_log = log_of(path).exists();
    let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(!has_log);
    // Statements that read a whole table are slow.
    let options = options.disable_statement_logging();
    let mut snapshot = SqliteSnapshot(options.connect().await?);
    let result = match snapshot.0.execute("BEGIN DEFERRED").await {
        Ok(_) => work(&mut snapshot).await,
        Err(error) => Err(error.into()),
    };
    snapshot.0.close().await?;
    if !has_log && log_of(path).exists() {
        return Err(VerifyError::Opened { path: path.to_owned() });
    }
    result
}

struct SqliteSnapshot(SqliteConnection);

impl Snapshot for SqliteSnapshot {
    type Dialect = Sqlite;

    const KNOWN_SCHEMA: usize = SCHEMAS.len();
    const INTEGRITY: &'static str = "the pages and indexes of the file are whole";

    async fn rows(&mut self, sql: &SqlStr, values: &[Value<'_>]) -> sqlx::Result<Vec<SqliteRow>> {
        fetch(&mut self.0, sql.clone(), values, false).await
    }

    async fn damage(&mut self) -> sqlx::Result<Vec<Fault>> {
        let fault = |problem: &str| Fault { subject: "file".to_owned(), problem: problem.to_owned() };
        match self.0.fetch_all("PRAGMA integrity_check(3)").await {
            Ok(rows) => {
                let found: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
                // The first line of a message names the database within the connection.
                let found = found?;
                let lines = found.iter().filter(|line| *line != "ok");
                Ok(lines.map(|line| fault(line.lines().last().unwrap_or_default())).collect())
            }
            Err(error) if is_damaged(&error) => Ok(vec![fault(&error.to_string())]),
            Err(error) => Err(error),
        }
    }

    async fn has_table(&mut self, name: &str) -> sqlx::Result<bool> {
        let sql = SqlStr::from_static("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = $1");
        Ok(!self.rows(&sql, values![name]).await?.is_empty())
    }
}

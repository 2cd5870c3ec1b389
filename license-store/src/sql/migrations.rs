//! Brings a database to the schema of this version.

use license_core::store::Source;
use sqlx::SqlStr;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};

/// Why a database can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A later version of this software has changed the database.
    #[error(
        "the database has schema {found}, of a later version of this software; this version knows none after {known}"
    )]
    NewerSchema {
        /// The schema it has.
        found: i64,
        /// The last one known here.
        known: i64,
    },
    /// The file can't be made or opened.
    #[error("{source}")]
    File {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The database does not answer as a database of ours.
    #[error("the database can't be opened: {0}")]
    Database(Source),
}

/// The schemas, oldest first: a name for the log, and the text.
pub(super) type Schemas = [(&'static str, &'static str)];

/// Brings a database to the last of the schemas, or leaves it as it is.
///
/// To be run within a transaction that has locked out others: of nodes that start at once, one migrates, the others
/// wait and find it done, and all steps are kept in one commit. The locks of sqlx are left out: they belong to a
/// session, which behind a pooler is another one at each statement, and SQLite has none.
pub(super) async fn migrate<C: Migrate>(
    connection: &mut C,
    schemas: &'static Schemas,
) -> Result<(), OpenError> {
    let migration = |(number, (name, text)): (usize, &(&'static str, &'static str))| {
        let version = i64::try_from(number).unwrap_or(i64::MAX);
        Migration::new(version, (*name).into(), MigrationType::Simple, SqlStr::from_static(text), false)
    };
    let mut migrator = Migrator::with_migrations((1..).zip(schemas).map(migration).collect());
    // A table of our own name: the host application may keep sqlx migrations in the same database.
    migrator.dangerous_set_table_name("license_migrations");
    migrator.set_locking(false);
    // Not `run`: its future is not `Send` for a connection that is lent ("`Acquire` is not general enough").
    match migrator.run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => {
            Err(OpenError::NewerSchema { found, known: i64::try_from(schemas.len()).unwrap_or(i64::MAX) })
        }
        Err(error) => Err(OpenError::Database(Box::new(error))),
    }
}

/// The error of a database that can't be opened.
pub(super) fn open_error(error: sqlx::Error) -> OpenError {
    OpenError::Database(Box::new(error))
}

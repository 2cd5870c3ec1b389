//! Migrates a database to the schema of this version.

use license_core::store::BoxError;
use sqlx::SqlStr;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};

/// Error of opening a database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The database has the schema of a later version of this software.
    #[error(
        "the database has schema {found}, but this version supports schemas up to {known}; install a newer version"
    )]
    NewerSchema {
        /// Number of its schema.
        found: i64,
        /// The last schema that this version knows.
        known: i64,
    },
    /// The file cannot be created or opened.
    #[error("{source}")]
    File {
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The database file is damaged, or does not fit its log.
    #[error("{}", if *has_log {
        "the database does not fit its log (-wal): a file was copied over the database, or one of the two was lost"
    } else {
        "the database is damaged"
    })]
    Damaged {
        /// Whether there was a log beside the database.
        has_log: bool,
        /// The error of the database.
        #[source]
        source: BoxError,
    },
    /// The database cannot be reached, or is not a license database.
    #[error("the database cannot be opened: {0}")]
    Database(BoxError),
}

/// The schemas, oldest first: a name, and the SQL.
pub(super) type Schemas = [(&'static str, &'static str)];

/// Migrates a database to the last schema, or changes nothing.
///
/// Must run in a transaction that excludes others: if several nodes start at once, one migrates in one
/// commit, and the others wait and find it done. The locks of sqlx are off: they belong to a session, which a
/// pooler may change between statements, and SQLite has none.
pub(super) async fn migrate<C: Migrate>(
    connection: &mut C,
    schemas: &'static Schemas,
) -> Result<(), OpenError> {
    let migration = |(number, (name, text)): (usize, &(&'static str, &'static str))| {
        let version = i64::try_from(number).unwrap_or(i64::MAX);
        Migration::new(version, (*name).into(), MigrationType::Simple, SqlStr::from_static(text), false)
    };
    let mut migrator = Migrator::with_migrations((1..).zip(schemas).map(migration).collect());
    // Not the default name: the host application may have its own sqlx migrations in this database.
    migrator.dangerous_set_table_name("license_migrations");
    migrator.set_locking(false);
    // Not `run`: its future is not `Send` for a borrowed connection ("`Acquire` is not general enough").
    match migrator.run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => {
            Err(OpenError::NewerSchema { found, known: i64::try_from(schemas.len()).unwrap_or(i64::MAX) })
        }
        Err(error) => Err(OpenError::Database(Box::new(error))),
    }
}

pub(super) fn open_error(error: sqlx::Error) -> OpenError {
    OpenError::Database(Box::new(error))
}

//! Brings a database to the schema of this version.

use license_core::store::Source;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Database, Pool, SqlStr};

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

pub(super) async fn migrate<Db: Database>(pool: &Pool<Db>, schemas: &'static Schemas) -> Result<(), OpenError>
where
    Db::Connection: Migrate,
{
    let migration = |(number, (name, text)): (usize, &(&'static str, &'static str))| {
        let version = i64::try_from(number).unwrap_or(i64::MAX);
        Migration::new(version, (*name).into(), MigrationType::Simple, SqlStr::from_static(text), false)
    };
    let mut migrator = Migrator::with_migrations((1..).zip(schemas).map(migration).collect());
    // A table of our own name: the host application may keep sqlx migrations in the same database.
    migrator.dangerous_set_table_name("license_migrations");
    match migrator.run(pool).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => {
            Err(OpenError::NewerSchema { found, known: i64::try_from(schemas.len()).unwrap_or(i64::MAX) })
        }
        Err(error) => Err(OpenError::Database(Box::new(error))),
    }
}

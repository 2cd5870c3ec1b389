//! Migrates a database to the schema of this version.

use license_core::store::BoxError;
use sqlx::SqlStr;
use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migration, MigrationType, Migrator};

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
    /// The database has the schema of an earlier version, or is empty, and this call must not change it.
    #[error("the database {}, but this version needs schema {known}; migrate it first", if *found == 0 {
        "is empty".to_owned()
    } else {
        format!("has schema {found}")
    })]
    OlderSchema {
        /// Number of its schema; 0 if it is empty.
        found: i64,
        /// The schema of this version.
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

/// Table of the schemas that were applied.
const TABLE: &str = "license_migrations";

/// The schemas, oldest first: a name, and the SQL.
pub(super) type Schemas = [(&'static str, &'static str)];

/// Migrates a database to the last schema, or changes nothing.
///
/// Without `may_change`, a database that needs a migration is an error. `has_schema` tells whether any was
/// migrated before.
///
/// Must run in a transaction that excludes others: if several nodes start at once, one migrates in one
/// commit, and the others wait and find it done. The locks of sqlx are off: they belong to a session, which a
/// pooler may change between statements, and SQLite has none.
pub(super) async fn migrate<C: Migrate>(
    connection: &mut C,
    schemas: &'static Schemas,
    has_schema: bool,
    may_change: bool,
) -> Result<(), OpenError> {
    let migration = |(number, (name, text)): (usize, &(&'static str, &'static str))| {
        let version = i64::try_from(number).unwrap_or(i64::MAX);
        Migration::new(version, (*name).into(), MigrationType::Simple, SqlStr::from_static(text), false)
    };
    let migrations: Vec<_> = (1..).zip(schemas).map(migration).collect();
    if !may_change {
        let applied =
            if has_schema { connection.list_applied_migrations(TABLE).await } else { Ok(Vec::new()) };
        return check(&applied.map_err(database_error)?, &migrations);
    }
    let known = number(migrations.len());
    let mut migrator = Migrator::with_migrations(migrations);
    // Not the default name: the host application may have its own sqlx migrations in this database.
    migrator.dangerous_set_table_name(TABLE);
    migrator.set_locking(false);
    // Not `run`: its future is not `Send` for a borrowed connection ("`Acquire` is not general enough").
    match migrator.run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => Err(OpenError::NewerSchema { found, known }),
        Err(error) => Err(database_error(error)),
    }
}

/// Checks that exactly these migrations were applied. Writes nothing, so it needs no right to change tables.
fn check(applied: &[AppliedMigration], migrations: &[Migration]) -> Result<(), OpenError> {
    let known = number(migrations.len());
    let found = applied.iter().map(|applied| applied.version).max().unwrap_or(0);
    if found > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    if found < known {
        return Err(OpenError::OlderSchema { found, known });
    }
    let differs = migrations.iter().find(|migration| {
        !applied
            .iter()
            .any(|other| other.version == migration.version && other.checksum == migration.checksum)
    });
    differs.map_or(Ok(()), |other| Err(database_error(MigrateError::VersionMismatch(other.version))))
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn database_error(error: MigrateError) -> OpenError {
    OpenError::Database(Box::new(error))
}

pub(super) fn open_error(error: sqlx::Error) -> OpenError {
    OpenError::Database(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(schemas: &[(i64, &str)]) -> Vec<AppliedMigration> {
        let row = |&(version, text): &(i64, &'_ str)| AppliedMigration {
            version,
            checksum: migration(version, text).checksum,
        };
        schemas.iter().map(row).collect()
    }

    fn migration(version: i64, text: &str) -> Migration {
        let text = sqlx::AssertSqlSafe(text.to_owned());
        Migration::new(version, "".into(), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(text), false)
    }

    #[test]
    fn only_the_schemas_of_this_version_pass() {
        let known = [migration(1, "one"), migration(2, "two")];
        let check = |schemas: &[(i64, &str)]| check(&applied(schemas), &known);
        assert!(check(&[(1, "one"), (2, "two")]).is_ok());
        assert!(matches!(check(&[]), Err(OpenError::OlderSchema { found: 0, known: 2 })));
        assert!(matches!(check(&[(1, "one")]), Err(OpenError::OlderSchema { found: 1, known: 2 })));
        let newer = check(&[(1, "one"), (2, "two"), (3, "three")]);
        assert!(matches!(newer, Err(OpenError::NewerSchema { found: 3, known: 2 })));
        for edited in [&[(1, "edited"), (2, "two")][..], &[(2, "two")]] {
            assert!(matches!(check(edited), Err(OpenError::Database(_))), "{edited:?}");
        }
    }
}

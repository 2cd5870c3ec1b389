//! The database that `--database` names.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use license_core::store::FullStore;
use license_store::memory::MemoryStore;
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use license_store::sql::sqlite::SqliteStore;

use crate::flags::DatabaseFlags;

/// First bytes of every SQLite database file.
const SQLITE: &[u8; 16] = b"SQLite format 3\0";

/// A parsed `--database`.
#[derive(Debug)]
pub(crate) enum Database {
    /// In memory.
    Memory,
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server. The URL may contain a password.
    Postgres(String, PostgresOptions),
}

impl Database {
    /// Parses the flags. No error repeats text that may contain a password.
    pub(crate) fn parse(flags: &DatabaseFlags) -> Result<Self, String> {
        let known = "known are sqlite://FILE, postgres://… and memory:";
        let text = &flags.database;
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(format!("--database has no scheme; {known}"));
        };
        match scheme {
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path == ":memory:" || path.starts_with("file:") {
                    return Err(
                        "--database sqlite://FILE takes the name of a file; in memory is memory:".to_owned()
                    );
                }
                if path.is_empty() || path.contains(['?', '\0']) || path.ends_with('/') {
                    return Err("--database sqlite://FILE: names no file".to_owned());
                }
                Ok(Self::Sqlite(PathBuf::from(path)))
            }
            "postgres" | "postgresql" => {
                let options = PostgresOptions {
                    max_connections: flags.database_connections.get().into(),
                    acquire_timeout: Duration::from_secs(flags.database_timeout.get().into()),
                    transaction_pooler: flags.database_pooler,
                    listen_url: flags.database_listen.clone(),
                    ..PostgresOptions::default()
                };
                Ok(Self::Postgres(text.clone(), options))
            }
            _ => Err(format!("--database: unknown scheme {scheme:?}; {known}")),
        }
    }

    /// Returns the file of the secret, next to the database file. Other databases have none.
    pub(crate) fn secret_file(&self) -> Option<PathBuf> {
        match self {
            Self::Memory | Self::Postgres(..) => None,
            Self::Sqlite(path) => {
                let mut name = path.clone().into_os_string();
                name.push(".secret");
                Some(name.into())
            }
        }
    }

    /// Returns whether the database file is missing or empty.
    pub(crate) fn is_new(&self) -> bool {
        match self {
            Self::Memory | Self::Postgres(..) => false,
            Self::Sqlite(path) => std::fs::metadata(path).map_or(true, |file| file.len() == 0),
        }
    }

    /// Rejects a file that is not a database, before its secret is looked for.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self::Sqlite(path) = self else { return Ok(()) };
        let mut start = [0; SQLITE.len()];
        match std::fs::File::open(path).and_then(|mut file| file.read(&mut start)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(format!("{self} cannot be opened: {error}")),
            Ok(read) if read > 0 && start != *SQLITE => {
                Err(format!("{self} cannot be opened: it is not a SQLite database"))
            }
            Ok(_) => Ok(()),
        }
    }

    /// Opens a database that exists, for a command that needs no secret. `what` it works on, for errors.
    pub(crate) async fn open_existing(&self, what: &str) -> Result<Arc<dyn FullStore>, String> {
        if matches!(self, Self::Memory) {
            return Err(format!("memory: has no {what}, because it belongs to one process"));
        }
        if self.is_new() {
            return Err(format!("{self} does not exist; start the server once to create it"));
        }
        self.check()?;
        self.open().await
    }

    /// Opens the database, and creates it if it does not exist.
    pub(crate) async fn open(&self) -> Result<Arc<dyn FullStore>, String> {
        let failed = |error| format!("{self}: {error}");
        Ok(match self {
            Self::Memory => Arc::new(MemoryStore::new()),
            Self::Sqlite(path) => Arc::new(SqliteStore::open(path).await.map_err(failed)?),
            Self::Postgres(url, options) => {
                Arc::new(PostgresStore::connect(url, options).await.map_err(failed)?)
            }
        })
    }
}

/// The URL without user, password and parameters.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url, _) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let rest = rest.split(['?', '#']).next().unwrap_or_default();
                // A password may contain an @, so the host begins after the last one.
                let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                write!(f, "postgres://{place}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_without_passwords() {
        for (url, shown) in [
            (
                "postgres://me:hunter2@db.internal:5432/licenses?sslmode=require&password=hunter2",
                "postgres://db.internal:5432/licenses",
            ),
            ("postgresql://me:hunt@er2@db/licenses", "postgres://db/licenses"),
            ("postgres:///licenses?user=me&password=hunter2", "postgres:///licenses"),
            ("postgres:hunter2", "postgres://"),
        ] {
            let database = Database::Postgres(url.to_owned(), PostgresOptions::default());
            assert_eq!(database.to_string(), shown);
        }
    }
}

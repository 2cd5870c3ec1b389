//! The database that `--database` names.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use license_core::store::FullStore;
use license_store::memory::MemoryStore;
use license_store::sql::OpenError;
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use license_store::sql::sqlite::{SqliteOptions, SqliteStore};

use crate::database_url;
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
        let known = "the forms are sqlite://FILE, postgres://USER:PASSWORD@HOST/NAME and memory:";
        let text = &flags.database;
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(if text.is_empty() || text.contains('@') {
                format!("--database has no scheme; {known}")
            } else {
                format!("--database has no scheme; for this file, write --database sqlite://{text}")
            });
        };
        match scheme {
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path == ":memory:" || path.starts_with("file:") {
                    return Err(
                        "--database sqlite://FILE takes the path of a file; for a database in memory, write \
                         --database memory:"
                            .to_owned(),
                    );
                }
                if path.is_empty() || path.contains(['?', '\0']) || path.ends_with('/') {
                    return Err(format!(
                        "--database sqlite://{path} names no file; write the path of a file, without a ?"
                    ));
                }
                Ok(Self::Sqlite(PathBuf::from(path)))
            }
            "postgres" | "postgresql" => {
                database_url::check("--database", text)?;
                if let Some(url) = &flags.database_listen {
                    database_url::check("--database-listen", url)?;
                }
                if let Some(url) = &flags.read_replica {
                    database_url::check("--read-replica", url)?;
                }
                let options = PostgresOptions {
                    max_connections: flags.database_connections.get().into(),
                    acquire_timeout: flags.database_timeout,
                    transaction_pooler: flags.database_pooler,
                    listen_url: flags.database_listen.clone(),
                    read_replica: flags.read_replica.clone(),
                    ..PostgresOptions::default()
                };
                Ok(Self::Postgres(text.clone(), options))
            }
            _ => Err(format!("--database has the unknown scheme {scheme:?}; {known}")),
        }
    }

    /// Returns the file of the secret, next to the database file. Other databases have none.
    pub(crate) fn secret_file(&self) -> Option<PathBuf> {
        match self {
            Self::Memory | Self::Postgres(..) => None,
            Self::Sqlite(path) => Some(beside(path, ".secret")),
        }
    }

    /// Returns whether the database file is missing or empty.
    pub(crate) fn is_new(&self) -> bool {
        match self {
            Self::Memory | Self::Postgres(..) => false,
            Self::Sqlite(path) => std::fs::metadata(path).map_or(true, |file| file.len() == 0),
        }
    }

    /// Locks the folder of the database file until the guard is dropped. Waits for other processes that start
    /// or restore a database in the folder. A folder that cannot be locked is no error.
    pub(crate) fn lock_folder(&self) -> Option<File> {
        let Self::Sqlite(path) = self else { return None };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new("."))).ok()?;
        folder.lock().ok()?;
        Some(folder)
    }

    /// Warns if other users of the machine can read the database or its secret.
    pub(crate) fn warn_about_readable_files(&self) {
        for text in self.readable_files() {
            tracing::warn!("{text}");
        }
    }

    /// Names the files of the database and its secret that other users of the machine can read, and what to
    /// do.
    pub(crate) fn readable_files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let Self::Sqlite(path) = self else { return found };
        for file in [Some(path.clone()), self.secret_file()].into_iter().flatten() {
            #[cfg(unix)]
            if let Ok(meta) = std::fs::metadata(&file) {
                let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777;
                if mode & 0o077 != 0 {
                    let file = file.display();
                    found.push(format!(
                        "{file} has mode {mode:o}, so other users can use it; run: chmod 600 {file}"
                    ));
                }
            }
            #[cfg(not(unix))]
            let _ = file;
        }
        found
    }

    /// Rejects a file that is not a database, before its secret is looked for. Nothing has the database open
    /// yet: closing the file would drop the locks of SQLite.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self::Sqlite(path) = self else { return Ok(()) };
        let log = beside(path, "-wal");
        // In this order: a database that others create meanwhile has its log later than its first page.
        if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) && self.is_new() {
            return Err(format!(
                "{self} is missing or empty, but its log {} exists: put the database back, or move the log away",
                log.display()
            ));
        }
        if path.is_dir() {
            return Err(format!("{self} is a folder; write the path of a file, such as {self}/licenses.db"));
        }
        let mut start = [0; SQLITE.len()];
        match File::open(path).and_then(|mut file| file.read(&mut start)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(format!("{self} cannot be opened: {error}")),
            Ok(read) if read > 0 && start != *SQLITE => {
                Err(format!("{self} cannot be opened: it is not a SQLite database"))
            }
            Ok(_) => Ok(()),
        }
    }

    /// Opens a database that exists and has the schema of this version, for a command that needs no secret.
    /// `what` it works on, for errors.
    pub(crate) async fn open_existing(&self, what: &str) -> Result<Arc<dyn FullStore>, String> {
        self.check_exists(what)?;
        self.open(false).await
    }

    /// Rejects what no command can open. `what` it works on, for errors.
    pub(crate) fn check_exists(&self, what: &str) -> Result<(), String> {
        if matches!(self, Self::Memory) {
            return Err(format!("memory: has no {what}, because it belongs to one process"));
        }
        if self.is_new() {
            return Err(format!("{self} does not exist; start the server once to create it"));
        }
        self.check()
    }

    /// Opens the database. With `migrate`, creates it if it does not exist, and migrates it.
    pub(crate) async fn open(&self, migrate: bool) -> Result<Arc<dyn FullStore>, String> {
        self.try_open(migrate).await.map_err(|error| self.failed(&error))
    }

    /// Describes why the database does not open, and what helps.
    pub(crate) fn failed(&self, error: &OpenError) -> String {
        match error {
            OpenError::OlderSchema { .. } if self.is_new() => {
                format!("{self} does not exist; start once with --migrate on to create it")
            }
            OpenError::OlderSchema { .. } => format!("{self}: {error}, with license-server migrate"),
            OpenError::Damaged { .. } => format!(
                "{self}: {error}; to restore a backup, run: license-server restore --force FILE --database {self}"
            ),
            error => format!("{self}: {error}"),
        }
    }

    /// Opens the database like [`open`](Self::open).
    pub(crate) async fn try_open(&self, migrate: bool) -> Result<Arc<dyn FullStore>, OpenError> {
        Ok(match self {
            Self::Memory => Arc::new(MemoryStore::new()),
            Self::Sqlite(path) => {
                let options = SqliteOptions { migrate, ..SqliteOptions::default() };
                Arc::new(SqliteStore::open_with(path, &options).await?)
            }
            Self::Postgres(url, options) => {
                let options = PostgresOptions { migrate, ..options.clone() };
                Arc::new(PostgresStore::connect(url, &options).await?)
            }
        })
    }
}

/// Returns the path with a suffix, such as `.secret`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
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

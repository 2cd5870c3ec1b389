//! Which database, by its name.

use std::fmt;
use std::io::Read;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use license_core::audit::AccessStore;
use license_core::outbox::Outbox;
use license_core::store::LicenseStore;
use license_core::transfer::TransferStore;
use license_store::memory::MemoryStore;
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use license_store::sql::sqlite::SqliteStore;

use crate::flags::DatabaseFlags;

/// What every database file of SQLite begins with.
const SQLITE: &[u8; 16] = b"SQLite format 3\0";

/// A database as `--database` names it.
#[derive(Debug)]
pub(crate) enum Database {
    /// In this process.
    Memory,
    /// In a file.
    Sqlite(PathBuf),
    /// On a server. The URL may hold a password.
    Postgres(String, PostgresOptions),
}

/// An opened database.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The store.
    pub(crate) store: Arc<dyn LicenseStore>,
    /// The same, for tokens and the audit.
    pub(crate) access: Arc<dyn AccessStore>,
    /// Whether it is told what other processes change.
    pub(crate) hears_other_processes: bool,
    /// The same, for many licenses at once.
    pub(crate) transfer: Arc<dyn TransferStore>,
    /// Where its events are read and delivered from.
    pub(crate) outbox: Arc<dyn Outbox>,
    /// How many commits of validations it does well to work at, at once.
    pub(crate) commits: NonZero<usize>,
    close: Close,
}

#[derive(Debug)]
enum Close {
    Nothing,
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl Opened {
    /// Closes it, after what still runs on it.
    pub(crate) async fn close(&self) {
        match &self.close {
            Close::Nothing => {}
            Close::Sqlite(store) => store.close().await,
            Close::Postgres(store) => store.close().await,
        }
    }
}

impl Database {
    /// Reads the name of a database. An error never repeats what could hold a password.
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
                    max_connections: flags.database_connections.into(),
                    acquire_timeout: Duration::from_secs(flags.database_timeout.into()),
                    transaction_pooler: flags.database_pooler,
                    listen_url: flags.database_listen.clone(),
                    ..PostgresOptions::default()
                };
                Ok(Self::Postgres(text.clone(), options))
            }
            _ => Err(format!("--database: unknown scheme {scheme:?}; {known}")),
        }
    }

    /// Where its secret is kept: beside it. Only a file has such a place.
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

    /// Whether its file is not there yet, or has nothing in it.
    pub(crate) fn is_new(&self) -> bool {
        match self {
            Self::Memory | Self::Postgres(..) => false,
            Self::Sqlite(path) => std::fs::metadata(path).map_or(true, |file| file.len() == 0),
        }
    }

    /// Refuses what is there and is no database, before anything is said of its secret.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self::Sqlite(path) = self else { return Ok(()) };
        let mut start = [0; SQLITE.len()];
        match std::fs::File::open(path).and_then(|mut file| file.read(&mut start)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(format!("{self} can't be opened: {error}")),
            Ok(read) if read > 0 && start != *SQLITE => {
                Err(format!("{self} can't be opened: it is no SQLite database"))
            }
            Ok(_) => Ok(()),
        }
    }

    /// Opens it, making it where it is not there.
    pub(crate) async fn open(&self) -> Result<Opened, String> {
        let failed = |error| format!("{self}: {error}");
        let ((store, outbox, access, transfer), close) = match self {
            Self::Memory => (ports(Arc::new(MemoryStore::new())), Close::Nothing),
            Self::Sqlite(path) => {
                let store = Arc::new(SqliteStore::open(path).await.map_err(failed)?);
                (ports(Arc::clone(&store)), Close::Sqlite(store))
            }
            Self::Postgres(url, options) => {
                let store = Arc::new(PostgresStore::connect(url, options).await.map_err(failed)?);
                (ports(Arc::clone(&store)), Close::Postgres(store))
            }
        };
        // One file has one writer. A server works at one commit while it waits for the disk with another.
        let commits = NonZero::new(if matches!(self, Self::Postgres(..)) { 2 } else { 1 });
        let hears_other_processes = !matches!(self, Self::Sqlite(_));
        let commits = commits.unwrap_or(NonZero::<usize>::MIN);
        Ok(Opened { store, access, hears_other_processes, transfer, outbox, commits, close })
    }
}

/// One store, as each port asks for it.
type Ports = (Arc<dyn LicenseStore>, Arc<dyn Outbox>, Arc<dyn AccessStore>, Arc<dyn TransferStore>);

fn ports<S: TransferStore + Outbox + AccessStore>(store: Arc<S>) -> Ports {
    (Arc::clone(&store) as _, Arc::clone(&store) as _, Arc::clone(&store) as _, store)
}

/// Its name without user, password and parameters.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url, _) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let rest = rest.split(['?', '#']).next().unwrap_or_default();
                // A password may hold an @ of its own: what stands behind the last one is the host.
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

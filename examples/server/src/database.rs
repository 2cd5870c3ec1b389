//! Which database, by its name.

use std::path::PathBuf;
use std::sync::Arc;

use license_core::store::LicenseStore;
use license_store::memory::MemoryStore;
use license_store::sql::sqlite::SqliteStore;

/// A database as `--database` names it.
#[derive(Debug)]
pub(crate) enum Database {
    /// In this process.
    Memory,
    /// In a file.
    Sqlite(PathBuf),
}

/// An opened database.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The store.
    pub(crate) store: Arc<dyn LicenseStore>,
    file: Option<Arc<SqliteStore>>,
}

impl Opened {
    /// Closes it, after what still runs on it.
    pub(crate) async fn close(&self) {
        if let Some(file) = &self.file {
            file.close().await;
        }
    }
}

impl Database {
    /// Reads `sqlite://FILE` or `memory:`. An error never repeats what could hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let known = "known are sqlite://FILE and memory:";
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(format!("--database has no scheme; {known}"));
        };
        if scheme != "sqlite" {
            return Err(format!("--database: unknown scheme {scheme:?}; {known}"));
        }
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.is_empty() || path.contains(['?', '\0']) || path.ends_with('/') {
            return Err("--database sqlite://FILE: names no file".to_owned());
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }

    /// Where its secret is kept: beside it. Memory has none to keep.
    pub(crate) fn secret_file(&self) -> Option<PathBuf> {
        match self {
            Self::Memory => None,
            Self::Sqlite(path) => {
                let mut name = path.clone().into_os_string();
                name.push(".secret");
                Some(name.into())
            }
        }
    }

    /// Whether something is kept in it already.
    pub(crate) fn exists(&self) -> bool {
        match self {
            Self::Memory => false,
            Self::Sqlite(path) => std::fs::metadata(path).is_ok_and(|file| file.len() > 0),
        }
    }

    /// Opens it, making it where it is not there.
    pub(crate) async fn open(&self) -> Result<Opened, String> {
        match self {
            Self::Memory => Ok(Opened { store: Arc::new(MemoryStore::new()), file: None }),
            Self::Sqlite(path) => {
                let opened =
                    SqliteStore::open(path).await.map_err(|error| format!("{}: {error}", path.display()))?;
                let file = Arc::new(opened);
                Ok(Opened { store: Arc::clone(&file) as Arc<dyn LicenseStore>, file: Some(file) })
            }
        }
    }
}

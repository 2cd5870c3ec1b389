//! Errors of backups.

use std::io;
use std::path::{Path, PathBuf};

use license_core::store::BoxError;

use crate::sql::verify::Verification;

/// Error of a backup or of its restoration. The database is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is no database to back up.
    #[error("there is no database {}", path.display())]
    NoDatabase {
        /// The path of the database.
        path: PathBuf,
    },
    /// The file of the backup exists. It is never overwritten.
    #[error("{} exists already; choose another name", path.display())]
    Exists {
        /// The path of the backup.
        path: PathBuf,
    },
    /// The file is not a backup of a license database.
    #[error("{} is not a backup of a license database: {reason}", path.display())]
    NotABackup {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The backup has the schema of another version of this software.
    #[error("{} has schema {found}, but this version restores schema {known}; use the version that wrote it", path.display())]
    OtherSchema {
        /// The path of the backup.
        path: PathBuf,
        /// Number of its schema.
        found: i64,
        /// The schema of this version.
        known: i64,
    },
    /// The target or its log has data, and may not be replaced.
    #[error("{} has data already", path.display())]
    HasData {
        /// The path of the database or of its log.
        path: PathBuf,
    },
    /// A process has the target open.
    #[error("{} is in use; stop the server first", path.display())]
    InUse {
        /// The path of the database.
        path: PathBuf,
    },
    /// The backup can be read, but contradicts itself.
    #[error("{} has faults", path.display())]
    Faults {
        /// The path of the backup.
        path: PathBuf,
        /// What was found.
        verification: Box<Verification>,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The database cannot be read, or the backup cannot be written, for example because the disk is full.
    #[error("the backup failed: {0}")]
    Database(BoxError),
}

impl BackupError {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    pub(super) fn not_a_backup(path: &Path, reason: impl Into<String>) -> Self {
        Self::NotABackup { path: path.to_owned(), reason: reason.into() }
    }
}

//! Errors of verifications.

use std::path::PathBuf;

use license_core::store::{BoxError, StoreError};

/// A database cannot be verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no file, or it is empty.
    #[error("there is no database {}", path.display())]
    NoDatabase {
        /// The path of the database.
        path: PathBuf,
    },
    /// A server opened the file during the verification, which had found none.
    #[error("a server opened {} meanwhile; repeat the command", path.display())]
    Opened {
        /// The path of the database.
        path: PathBuf,
    },
    /// The database cannot be read.
    #[error("the database cannot be read: {0}")]
    Database(BoxError),
}

impl From<sqlx::Error> for VerifyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<StoreError> for VerifyError {
    fn from(error: StoreError) -> Self {
        Self::Database(error.into())
    }
}

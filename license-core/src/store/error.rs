//! Errors of stores.

use std::sync::Arc;

use crate::license::LicenseId;

/// An error of the database or its driver.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Error returned by the storage ports. A denial by a rule is not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No license has this id.
    #[error("there is no license {id}")]
    NotFound {
        /// The requested id.
        id: LicenseId,
    },
    /// The id or the key is taken by another row.
    #[error("{what} is taken")]
    AlreadyExists {
        /// The taken value, for people.
        what: &'static str,
    },
    /// Another transaction held the lock for too long. Nothing changed.
    #[error("others are changing the same data")]
    Contended {
        /// The error of the database.
        #[source]
        source: BoxError,
    },
    /// A row cannot be read.
    #[error("{table}.{column} of {id:?} can't be read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row.
        id: String,
        /// The reason.
        #[source]
        source: BoxError,
    },
    /// The store does not answer, or cannot write, for example because its disk is full.
    #[error("the store is unavailable")]
    Unavailable {
        /// The cause.
        #[source]
        source: BoxError,
    },
}

impl StoreError {
    /// Returns the same error for each caller that waited for one answer.
    #[must_use]
    pub fn shared(error: &Arc<Self>) -> Self {
        let source = || BoxError::from(Arc::clone(error));
        match &**error {
            Self::NotFound { id } => Self::NotFound { id: id.clone() },
            Self::AlreadyExists { what } => Self::AlreadyExists { what },
            Self::Contended { .. } => Self::Contended { source: source() },
            Self::Corrupt { table, column, id, .. } => {
                Self::Corrupt { table, column, id: id.clone(), source: source() }
            }
            Self::Unavailable { .. } => Self::Unavailable { source: source() },
        }
    }

    /// Returns whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Contended { .. } | Self::Unavailable { .. })
    }
}

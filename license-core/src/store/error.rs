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
        /// Name of the taken value, for people.
        what: &'static str,
    },
    /// Another transaction held the lock for too long. Nothing changed.
    #[error("other calls are changing the same data; try again")]
    Contended {
        /// The error of the database.
        #[source]
        source: BoxError,
    },
    /// A row is damaged.
    #[error("{table}.{column} of {id:?} cannot be read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Id of the row.
        id: String,
        /// The reason.
        #[source]
        source: BoxError,
    },
    /// A list or a report took longer than the store allows. Nothing changed.
    #[error("the query takes too long; narrow its filter or its time range")]
    QueryTooBroad {
        /// The error of the database.
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
    /// Returns a copy of the error, for callers that share one result.
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
            Self::QueryTooBroad { .. } => Self::QueryTooBroad { source: source() },
            Self::Unavailable { .. } => Self::Unavailable { source: source() },
        }
    }

    /// Returns whether a retry of the same call may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Contended { .. } | Self::Unavailable { .. })
    }
}

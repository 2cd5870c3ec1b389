//! What a store reports if it fails.

use std::sync::Arc;

use crate::license::LicenseId;

/// An error of whatever lies below.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The store could not do what was asked. A refusal by a rule is not among these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such license.
    #[error("there is no license {id}")]
    NotFound {
        /// The id that was asked for.
        id: LicenseId,
    },
    /// The id or the key is taken.
    #[error("{what} is taken")]
    AlreadyExists {
        /// What is taken.
        what: &'static str,
    },
    /// Others hold the license too long; nothing was done.
    #[error("others are changing the same data")]
    Contended {
        /// What the database said.
        #[source]
        source: BoxError,
    },
    /// A row is not as it was written.
    #[error("{table}.{column} of {id:?} can't be read")]
    Corrupt {
        /// Its table.
        table: &'static str,
        /// Its column.
        column: &'static str,
        /// Which row.
        id: String,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// The store does not answer, or can't keep what it is given (a full disk).
    #[error("the store is unavailable")]
    Unavailable {
        /// What happened.
        #[source]
        source: BoxError,
    },
}

impl StoreError {
    /// The same error for each of several callers that waited for one answer.
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

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Contended { .. } | Self::Unavailable { .. })
    }
}

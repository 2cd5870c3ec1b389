//! What a database's errors mean.

use license_core::store::{Source, StoreError};
use sqlx::error::ErrorKind;

use super::dialect::Dialect;

/// The meaning of an error that no statement expects.
pub(super) fn store_error<D: Dialect>(error: sqlx::Error) -> StoreError {
    let contended = matches!(&error, sqlx::Error::Database(database) if database.code().is_some_and(|code| D::is_contended(&code)));
    let source = Source::from(error);
    if contended { StoreError::Contended { source } } else { StoreError::Unavailable { source } }
}

/// Whether a unique key is taken.
pub(super) fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.kind() == ErrorKind::UniqueViolation)
}

/// Whether a row that is named is missing.
pub(super) fn is_unknown(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.kind() == ErrorKind::ForeignKeyViolation)
}

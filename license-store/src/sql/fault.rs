//! Errors of databases as errors of the store.

use license_core::store::{BoxError, StoreError};
use sqlx::error::ErrorKind;

use super::dialect::Dialect;

/// Converts an error that the statement does not expect.
pub(super) fn store_error<D: Dialect>(error: sqlx::Error) -> StoreError {
    let contended = is_contended::<D>(&error);
    let source = BoxError::from(error);
    if contended { StoreError::Contended { source } } else { StoreError::Unavailable { source } }
}

/// Converts the error of a list or a report, whose time is limited.
pub(super) fn list_error<D: Dialect>(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable { source }
            if source.downcast_ref().is_some_and(|error| has_code(error, D::is_time_limit)) =>
        {
            StoreError::QueryTooBroad { source }
        }
        error => error,
    }
}

/// Returns whether a lock was not granted.
pub(super) fn is_contended<D: Dialect>(error: &sqlx::Error) -> bool {
    has_code(error, D::is_contended)
}

/// Returns whether an error of the database has one of these codes.
pub(super) fn has_code(error: &sqlx::Error, is_one: impl FnOnce(&str) -> bool) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| is_one(&code))
}

/// Returns whether a unique key is taken.
pub(super) fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.kind() == ErrorKind::UniqueViolation)
}

/// Returns whether the message of an error of the database names this column, or an index that is named for it.
pub(super) fn names(error: &sqlx::Error, column: &str) -> bool {
    error.as_database_error().is_some_and(|error| error.message().contains(column))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::error::Error;
    use std::fmt;

    use sqlx::error::DatabaseError;

    use super::*;

    /// A database's error with a code.
    #[derive(Debug)]
    struct Coded(&'static str);

    impl fmt::Display for Coded {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Coded {}

    impl DatabaseError for Coded {
        fn message(&self) -> &str {
            self.0
        }
        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }
        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }
        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }
        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }
        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    fn check<D: Dialect>(contended: &[&'static str], unavailable: &[&'static str]) {
        let error = |code| store_error::<D>(sqlx::Error::Database(Box::new(Coded(code))));
        for code in contended {
            let error = error(code);
            assert!(
                matches!(error, StoreError::Contended { .. }) && error.is_retryable(),
                "{code}: {error:?}"
            );
        }
        for code in unavailable {
            let error = error(code);
            assert!(matches!(error, StoreError::Unavailable { .. }), "{code}: {error:?}");
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            assert!(cause.ends_with(code), "the source has the code: {cause:?}");
        }
        for lost in [
            sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()),
            sqlx::Error::PoolTimedOut,
            sqlx::Error::PoolClosed,
            sqlx::Error::Protocol("cut".to_owned()),
        ] {
            let error = store_error::<D>(lost);
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        }
    }

    fn check_full_disk<D: Dialect>(full: &[&str], other: &[&str]) {
        assert!(full.iter().all(|code| D::is_disk_full(code)), "{full:?}");
        assert!(!other.iter().any(|code| D::is_disk_full(code)), "{other:?}");
    }

    fn check_lists<D: Dialect>(time_limit: &'static str, other: &'static str) {
        let error = |code| store_error::<D>(sqlx::Error::Database(Box::new(Coded(code))));
        assert!(matches!(list_error::<D>(error(time_limit)), StoreError::QueryTooBroad { .. }));
        assert!(matches!(error(time_limit), StoreError::Unavailable { .. }), "only lists are too broad");
        assert!(matches!(list_error::<D>(error(other)), StoreError::Unavailable { .. }));
        let lost = StoreError::Unavailable { source: "no error of the driver".into() };
        assert!(matches!(list_error::<D>(lost), StoreError::Unavailable { .. }));
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn sqlite_codes_are_mapped() {
        check_lists::<super::super::sqlite::Sqlite>("9", "13");
        // Full, a write that a quota or a limit refused, no room for the index of the log.
        check_full_disk::<super::super::sqlite::Sqlite>(&["13", "778", "4874"], &["10", "266", "5", "9", ""]);
        // Busy: plain, recovery, snapshot, timeout; locked: plain, shared cache.
        let contended = ["5", "261", "517", "773", "6", "262"];
        // I/O, full, cannot open, corrupt, read-only, no database.
        check::<super::super::sqlite::Sqlite>(&contended, &["10", "13", "14", "11", "8", "26", "", "busy"]);
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn postgres_codes_are_mapped() {
        check_lists::<super::super::postgres::Postgres>("57014", "53100");
        check_full_disk::<super::super::postgres::Postgres>(&["53100"], &["53200", "57014", "40001", ""]);
        let unavailable = [
            ("40003", "statement_completion_unknown"),
            ("08007", "transaction_resolution_unknown"),
            ("57014", "query_canceled: the statement timeout"),
            ("57P01", "admin_shutdown"),
            ("57P02", "crash_shutdown"),
            ("57P03", "cannot_connect_now"),
            ("25P03", "idle_in_transaction_session_timeout"),
            ("53300", "too_many_connections"),
            ("53100", "disk_full"),
            ("25006", "read_only_sql_transaction"),
            ("42P01", "undefined_table"),
            ("XX000", "internal_error"),
            ("", "no code"),
        ];
        // Serialization failure, deadlock, lock timeout.
        let contended = ["40001", "40P01", "55P03"];
        check::<super::super::postgres::Postgres>(&contended, &unavailable.map(|(code, _)| code));
    }
}

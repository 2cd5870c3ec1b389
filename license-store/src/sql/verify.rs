//! Verifies that a database is whole: its file, its schema, its keys, and the rules between its tables.
//!
//! [`sqlite::verify`](super::sqlite::verify) and [`postgres::verify`](super::postgres::verify) read from one
//! snapshot, also while servers use the database, and write nothing. They need no memory in proportion to the
//! database.

mod checks;
mod contents;
mod error;
mod report;
mod snapshot;

pub(super) use checks::verify;
pub use error::VerifyError;
pub use report::{Check, CheckResult, Fault, Verification};
pub(super) use snapshot::Snapshot;

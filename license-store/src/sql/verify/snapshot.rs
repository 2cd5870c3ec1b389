//! A snapshot of a database, from which the checks read.

use std::future::Future;

use sqlx::SqlStr;

use super::Fault;
use crate::sql::prelude::*;

/// A connection in a transaction that reads from one snapshot.
pub(in crate::sql) trait Snapshot: Send {
    type Dialect: Dialect;

    /// The number of the schema of this version.
    const KNOWN_SCHEMA: usize;
    /// What [`damage`](Self::damage) looks for.
    const INTEGRITY: &'static str;

    /// Runs a statement.
    fn rows(
        &mut self,
        sql: &SqlStr,
        values: &[Value<'_>],
    ) -> impl Future<Output = sqlx::Result<Vec<Row<Self::Dialect>>>> + Send;

    /// Finds damage below the tables.
    fn damage(&mut self) -> impl Future<Output = sqlx::Result<Vec<Fault>>> + Send;

    /// Returns whether there is a table of this name.
    fn has_table(&mut self, name: &str) -> impl Future<Output = sqlx::Result<bool>> + Send;
}

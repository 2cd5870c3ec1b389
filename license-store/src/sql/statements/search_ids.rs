//! Statements on all licenses that match a search, without an order.

use sqlx::SqlStr;

use super::fragments::sql;
use super::search_query::{SearchSql, Source};
use crate::sql::dialect::{Dialect, Value};
use crate::sql::rows::int;

impl<'a> SearchSql<'a> {
    /// Counts the licenses that match, up to `limit`.
    pub(crate) fn count_up_to<D: Dialect>(&self, source: Source, limit: u64) -> (SqlStr, Vec<Value<'a>>) {
        let mut values = vec![Value::from(int(limit))];
        let from = self.from::<D>(source, &mut values);
        (sql(format!("SELECT COUNT(*) AS n FROM (SELECT 1 FROM {from} LIMIT $1 + 0) AS counted")), values)
    }

    /// Adds the licenses that match to the job `job`, up to `limit`.
    pub(crate) fn insert_into_job<D: Dialect>(
        &self,
        source: Source,
        job: &'a str,
        limit: u64,
    ) -> (SqlStr, Vec<Value<'a>>) {
        let mut values = vec![Value::from(job), Value::from(int(limit))];
        let from = self.from::<D>(source, &mut values);
        let insert = "INSERT INTO bulk_job_licenses (job_id, license_id) SELECT $1, licenses.id";
        (sql(format!("{insert} FROM {from} LIMIT $2 + 0")), values)
    }
}

//! Pieces of SQL that several statements share.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// The time of the oldest validation that waits to be compacted; NULL if none waits. Read in the snapshot of
/// the counters.
pub(crate) const AS_OF: &str = "(SELECT at FROM journal ORDER BY id LIMIT 1) AS as_of";

/// The key of a rollup.
pub(crate) const ROLLUP_KEY: &str = "day, license_id, outcome, domain, device, country";

/// Marks a text as safe. It must consist of constants only: values are always parameters.
pub(crate) fn sql(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}

/// A text of a statement.
pub(crate) trait IntoSql {
    fn into_sql(self) -> SqlStr;
}

impl IntoSql for &'static str {
    fn into_sql(self) -> SqlStr {
        SqlStr::from_static(self)
    }
}

impl IntoSql for String {
    fn into_sql(self) -> SqlStr {
        sql(self)
    }
}

/// The whole number at index `n` of a JSON row.
pub(crate) fn int(n: u8) -> String {
    format!("CAST(value ->> {n} AS BIGINT)")
}

/// The number of the day of a time. Division truncates towards zero in SQL, and days do not.
pub(crate) fn day(at: &str) -> String {
    format!("{at} / 86400000000 - CASE WHEN {at} % 86400000000 < 0 THEN 1 ELSE 0 END")
}

//! Pieces of SQL that several statements share.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// The time of the oldest validation that waits to be compacted; NULL if none waits. Read in the
/// same statement as the counters, so that both are of one moment.
pub(crate) const AS_OF: &str = "(SELECT at FROM journal ORDER BY id LIMIT 1) AS as_of";

/// The key of a rollup.
pub(crate) const ROLLUP_KEY: &str = "day, license_id, outcome, domain, device, country";

/// The columns with the name of their table.
pub(crate) fn qualified(table: &str, columns: &str) -> String {
    columns.split(", ").map(|column| format!("{table}.{column}")).collect::<Vec<_>>().join(", ")
}

/// Marks a text as safe. It must consist of constants only: values are always parameters.
pub(crate) fn sql(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}

/// A statement, in which `#3` is the whole number at index 3 of a JSON row.
pub(crate) fn statement(text: impl Into<String>) -> SqlStr {
    let expand = |(number, part): (usize, &str)| {
        let rest = part.trim_start_matches(|digit: char| digit.is_ascii_digit());
        let index = &part[..part.len() - rest.len()];
        if number == 0 { part.to_owned() } else { format!("CAST(value ->> {index} AS BIGINT){rest}") }
    };
    sql(text.into().split('#').enumerate().map(expand).collect())
}

/// The day number of a time. SQL division rounds towards zero, so days before 1970 are corrected by one.
pub(crate) fn day(at: &str) -> String {
    format!("{at} / 86400000000 - CASE WHEN {at} % 86400000000 < 0 THEN 1 ELSE 0 END")
}

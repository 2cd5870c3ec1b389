//! The gathering of SQLite: rollups of days that are over are copied to where those of a license lie together.
//!
//! How far it is stands in the table `gathered`, and changes with each step; what is filed, imported or removed behind that is
//! changed there by triggers, in its own commit. So both tables agree whenever a reader looks, and after a kill the next one
//! goes on. The newest day is left: most of what is filed is of it.

use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::time::Instant;

use super::filing::{Filer, int, run};
use crate::sql::dialect::{Columns, Value, values};
use crate::sql::turn::Others;

/// Rows that are copied in one step: some milliseconds.
const COPIED: i64 = 250;
/// What is recorded waits to be filed no longer than this for days that are copied.
const LONGEST: Duration = Duration::from_secs(1);
const BEGIN: &str = "BEGIN IMMEDIATE";

/// What orders the rollups of a day.
macro_rules! key {
    () => {
        "license_id, outcome, domain, device, country"
    };
}

const STATE: &str =
    concat!("SELECT day, ", key!(), ", day < (SELECT MAX(day) FROM rollups) AS over FROM gathered");
/// The last of the next so many of a day.
const END_OF_STEP: &str = concat!(
    "SELECT ",
    key!(),
    " FROM (SELECT ",
    key!(),
    " FROM rollups WHERE day = $1 AND (",
    key!(),
    ") > ($2, $3, $4, $5, $6) ORDER BY ",
    key!(),
    " LIMIT $7 + 0) ORDER BY license_id DESC, outcome DESC, domain DESC, device DESC, country DESC LIMIT 1"
);
const ADVANCE: &str = concat!(
    "UPDATE gathered SET license_id = $7, outcome = $8, domain = $9, device = $10, country = $11 WHERE day = $1 AND (",
    key!(),
    ") = ($2, $3, $4, $5, $6) RETURNING day"
);
const COPY: &str = concat!(
    "INSERT INTO gathered_rollups (day, ",
    key!(),
    ", count, first_at, last_at) SELECT day, ",
    key!(),
    ", count, first_at, last_at FROM rollups WHERE day = $1 AND (",
    key!(),
    ") > ($2, $3, $4, $5, $6) AND (",
    key!(),
    ") <= ($7, $8, $9, $10, $11)"
);
/// Where nothing of that day is left.
const NEXT_DAY: &str = concat!(
    "UPDATE gathered SET day = (SELECT MIN(day) FROM rollups WHERE day > $1), \
    license_id = '', outcome = '', domain = '', device = '', country = '' WHERE day = $1 AND (",
    key!(),
    ") = ($2, $3, $4, $5, $6) AND NOT EXISTS (SELECT 1 FROM rollups WHERE day = $1 AND (",
    key!(),
    ") > ($2, $3, $4, $5, $6)) AND EXISTS (SELECT 1 FROM rollups WHERE day > $1)"
);

/// What reads rollups, for the test of how.
#[cfg(test)]
pub(super) const LOOKS: [&str; 3] = [END_OF_STEP, COPY, NEXT_DAY];

impl Filer {
    /// Copies for a while; whether there is nothing left to copy.
    pub(super) async fn gather_some(
        &self,
        connection: &mut SqliteConnection,
        others: &Others,
    ) -> sqlx::Result<bool> {
        let start = Instant::now();
        while start.elapsed() < LONGEST {
            let rows = run(connection, STATE, &[]).await?;
            let Some(row) = rows.first() else { return Err(sqlx::Error::RowNotFound) };
            if int(row, "over")? == 0 {
                return Ok(true);
            }
            let (day, behind) = (int(row, "day")?, texts(row)?);
            let mut values = vec![Value::from(day)];
            values.extend(behind.iter().map(|text| Value::from(text.as_str())));
            let end = run(connection, END_OF_STEP, &[values.as_slice(), values![COPIED]].concat()).await?;
            let turn = self.turn().await?;
            let begun = Instant::now();
            let mut tx = connection.begin_with(BEGIN).await?;
            if let Some(row) = end.first() {
                let to = texts(row)?;
                values.extend(to.iter().map(|text| Value::from(text.as_str())));
                // First, so that no trigger does what is done here. Nothing where another process was faster.
                if !run(&mut tx, ADVANCE, &values).await?.is_empty() {
                    run(&mut tx, COPY, &values).await?;
                }
            } else {
                run(&mut tx, NEXT_DAY, &values).await?;
            }
            tx.commit().await?;
            drop(turn);
            others.let_write(begun.elapsed()).await;
        }
        Ok(false)
    }
}

fn texts(row: &sqlx::sqlite::SqliteRow) -> sqlx::Result<[String; 5]> {
    let text = |column| row.text(column).map(Option::unwrap_or_default);
    Ok([text("license_id")?, text("outcome")?, text("domain")?, text("device")?, text("country")?])
}

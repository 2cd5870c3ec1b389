//! The filing of PostgreSQL: one statement moves rows and counts them.

use std::future::Future;
use std::pin::Pin;

use sqlx::postgres::PgPool;
use sqlx::{Connection, SqlStr};

use super::fetch;
use crate::sql::dialect::{Columns, values};
use crate::sql::filing::{FORGET_RECORDERS, File, recorded, roll_up};
use crate::sql::turn::Others;

/// Validations that are filed at once, and the rest of their last batch. Their licenses are locked meanwhile: some hundredths of a
/// second.
const FILED: i64 = 2_000;

/// A batch is filed whole, also one that takes longer than other statements may.
const HOWEVER_LONG: &str = "SET LOCAL statement_timeout = 0";

/// The advisory lock of the node that files: two would change the same licenses in two orders, and wait for each other.
/// Whoever removes rollups takes it too.
pub(super) const WAIT: &str = "SELECT pg_advisory_xact_lock(7811884315946738994)";
// Licenses are locked sorted, however the planner joins what comes after. What is seen of activations is noted when all their
// licenses are locked and counted: commands lock in the same order. To join with those instead is to compare each with each, since
// the planner takes both to be few.
pub(super) const FILE: &str = concat!(
    "WITH gone AS (DELETE FROM batches WHERE ctid = ANY (ARRAY(SELECT ctid FROM \
    (SELECT ctid, SUM(size) OVER (ROWS UNBOUNDED PRECEDING) - size AS before FROM \
    (SELECT ctid, size FROM batches LIMIT $1) AS first) AS counted WHERE before < $1)) RETURNING number, rows), \
    taken AS MATERIALIZED (SELECT number * 16777216 + place - 1 AS sequence, (value ->> 0) COLLATE \"C\" AS license_id, \
    CAST(value ->> 1 AS BIGINT) AS at, (value ->> 2) COLLATE \"C\" AS outcome, (value ->> 3) COLLATE \"C\" AS domain, \
    (value ->> 4) COLLATE \"C\" AS fingerprint, (value ->> 5) COLLATE \"C\" AS country, (value ->> 6) COLLATE \"C\" AS region, \
    (value ->> 7) COLLATE \"C\" AS client, (value ->> 8) COLLATE \"C\" AS covered_by \
    FROM gone CROSS JOIN LATERAL jsonb_array_elements(CAST(rows AS jsonb)) WITH ORDINALITY AS each (value, place)), \
    filed AS (INSERT INTO validations (sequence, ",
    recorded!(),
    ") SELECT sequence, ",
    recorded!(),
    " FROM taken ORDER BY license_id, sequence), rolled_up AS (",
    roll_up!("taken WHERE 1 = 1"),
    "), valid AS MATERIALIZED (SELECT license_id, COUNT(*) AS n, MAX(at) AS latest FROM taken WHERE outcome = 'VALID' \
    GROUP BY license_id), \
    locked AS MATERIALIZED (SELECT id FROM licenses WHERE id = ANY (ARRAY(SELECT license_id FROM valid)) \
    ORDER BY id FOR NO KEY UPDATE), \
    counted AS (UPDATE licenses SET validation_count = validation_count + v.n, last_validated_at = \
    CASE WHEN last_validated_at > v.latest THEN last_validated_at ELSE v.latest END \
    FROM valid v WHERE v.license_id IN (SELECT id FROM locked) AND licenses.id = v.license_id RETURNING 1), \
    bound AS (SELECT license_id, 'device' AS kind, fingerprint AS value, at, country FROM taken \
    WHERE outcome = 'VALID' AND fingerprint IS NOT NULL \
    UNION ALL SELECT license_id, 'domain' AS kind, COALESCE(covered_by, domain) AS value, at, country FROM taken \
    WHERE outcome = 'VALID' AND domain IS NOT NULL), \
    seen AS (SELECT u.license_id, u.kind, u.value, COUNT(*) AS n, MIN(v.at) AS earliest, MAX(v.at) AS latest, \
    (ARRAY_AGG(v.country ORDER BY v.at DESC) FILTER (WHERE v.country IS NOT NULL))[1] AS country \
    FROM bound v JOIN activation_usage u ON u.license_id = v.license_id AND u.kind = v.kind AND u.value = v.value \
    AND u.created_at <= v.at GROUP BY u.license_id, u.kind, u.value), \
    noted AS (UPDATE activation_usage AS u SET validations = u.validations + s.n, \
    first_seen_at = COALESCE(u.first_seen_at, s.earliest), \
    country = CASE WHEN u.country IS NULL OR s.latest >= u.seen_at THEN COALESCE(s.country, u.country) ELSE u.country END, \
    seen_at = GREATEST(u.seen_at, s.latest), seen_day = GREATEST(u.seen_at, s.latest) / 86400000000 \
    FROM seen s WHERE (SELECT COUNT(*) FROM counted) >= 0 \
    AND u.license_id = s.license_id AND u.kind = s.kind AND u.value = s.value) \
    SELECT COUNT(*) AS filed FROM taken"
);

/// Files through the store's connections.
pub(super) struct Filer {
    pub(super) pool: PgPool,
    pub(super) begin: SqlStr,
    pub(super) keep_prepared: bool,
}

impl File for Filer {
    /// Rows of batches lock out nobody who records, so there is no need to stand back.
    fn file<'a>(&'a self, _: &'a Others) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + 'a>> {
        Box::pin(async move {
            while self.some().await? >= FILED {}
            Ok(())
        })
    }

    /// There is nothing of it here.
    fn gather<'a>(&'a self, _: &'a Others) -> Pin<Box<dyn Future<Output = sqlx::Result<bool>> + Send + 'a>> {
        Box::pin(std::future::ready(Ok(true)))
    }

    /// The server does so by itself.
    fn tidy(&self) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + '_>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// The store's own connections are closed by the store.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

impl Filer {
    /// Files some rows; how many.
    async fn some(&self) -> sqlx::Result<i64> {
        let mut connection = self.pool.acquire().await?;
        let mut tx = connection.begin_with(self.begin.clone()).await?;
        fetch(&mut tx, SqlStr::from_static(HOWEVER_LONG), &[], self.keep_prepared).await?;
        fetch(&mut tx, SqlStr::from_static(WAIT), &[], self.keep_prepared).await?;
        fetch(&mut tx, SqlStr::from_static(FORGET_RECORDERS), &[], self.keep_prepared).await?;
        let rows = fetch(&mut tx, SqlStr::from_static(FILE), values![FILED], self.keep_prepared).await?;
        tx.commit().await?;
        rows.first().map_or(Ok(0), |row| row.int("filed").map(Option::unwrap_or_default))
    }
}

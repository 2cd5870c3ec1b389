//! The SQL of compaction, for all dialects.

use license_core::usage::ValidationOutcome;
use sqlx::SqlStr;

use crate::sql::dialect::Dialect;
use crate::sql::statements::sql;

/// The key of a rollup.
pub(in crate::sql) const ROLLUP_KEY: &str = "day, license_id, outcome, domain, device, country";

/// The number of the day of a time. Division truncates towards zero in SQL, and days do not.
pub(in crate::sql) fn day(at: &str) -> String {
    format!("{at} / 86400000000 - CASE WHEN {at} % 86400000000 < 0 THEN 1 ELSE 0 END")
}

#[derive(Debug)]
pub(in crate::sql) struct CompactionStatements {
    /// The oldest `$1` rows of the journal, without their entries.
    pub(super) oldest: SqlStr,
    /// The rows from the id `$1` to the id `$2`.
    pub(super) entries: SqlStr,
    pub(super) count_waiting: SqlStr,
    pub(super) newest: SqlStr,
    /// Whether there is a row with an id up to `$1`.
    pub(super) any_up_to: SqlStr,
    pub(super) unknown_licenses: SqlStr,
    pub(super) reject: SqlStr,
    pub(super) delete_rows: SqlStr,
    pub(super) insert_history: SqlStr,
    /// Days of watched licenses that get a new rollup with a device or a country.
    pub(super) insert_candidates: SqlStr,
    pub(super) add_rollups: SqlStr,
    pub(super) add_counters: SqlStr,
    pub(in crate::sql) seen_activations: SqlStr,
    pub(in crate::sql) update_seen: SqlStr,
    /// Writers that sent nothing for a week, by the time of validations. No batch is repeated after so long.
    pub(super) prune_writers: SqlStr,
    /// The marker: which rows are being compacted, and how far.
    pub(super) marker: SqlStr,
    pub(super) start: SqlStr,
    pub(super) advance: SqlStr,
    pub(super) finish: SqlStr,
    pub(in crate::sql) lock: Option<SqlStr>,
}

impl CompactionStatements {
    #[expect(clippy::too_many_lines, reason = "one list of statements")]
    pub(in crate::sql) fn new<D: Dialect>() -> Self {
        let items = D::items(1);
        let valid = ValidationOutcome::Valid;
        let int = |n: u8| format!("CAST(value ->> {n} AS BIGINT)");
        let earlier = |table: &str| {
            format!(
                "CASE WHEN {table}.first_at < excluded.first_at THEN {table}.first_at ELSE excluded.first_at END"
            )
        };
        let later = |column: &str| {
            format!(
                "CASE WHEN {column} > excluded.{c} THEN {column} ELSE excluded.{c} END",
                c = column.split('.').next_back().unwrap_or(column)
            )
        };
        let seen = format!("{items} AS seen");
        let same_activation = "activations.license_id = seen.value ->> 0 AND activations.kind = seen.value ->> 1 \
            AND activations.value = seen.value ->> 2";
        let columns =
            "license_id, kind, value, id, created_at, label, first_seen_at, seen_at, validations, country";
        let read =
            columns.split(", ").map(|column| format!("activations.{column}")).collect::<Vec<_>>().join(", ");
        Self {
            oldest: SqlStr::from_static("SELECT id, size FROM journal ORDER BY id LIMIT $1 + 0"),
            entries: SqlStr::from_static(
                "SELECT id, entries FROM journal WHERE id BETWEEN $1 AND $2 ORDER BY id",
            ),
            count_waiting: SqlStr::from_static(
                "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS n FROM journal",
            ),
            newest: SqlStr::from_static("SELECT CAST(COALESCE(MAX(id), 0) AS BIGINT) AS id FROM journal"),
            any_up_to: SqlStr::from_static("SELECT id FROM journal WHERE id <= $1 LIMIT 1"),
            unknown_licenses: sql(format!(
                "SELECT value ->> 0 AS id FROM {items} \
                 WHERE NOT EXISTS (SELECT 1 FROM licenses WHERE licenses.id = value ->> 0)"
            )),
            reject: SqlStr::from_static(
                "INSERT INTO journal_rejected (id, at, size, entries, reason) \
                 SELECT id, at, size, entries, $2 FROM journal WHERE id = $1",
            ),
            delete_rows: sql(format!("DELETE FROM journal WHERE id IN (SELECT {} FROM {items})", int(0))),
            insert_history: sql(format!(
                "INSERT INTO validations (day, license_id, at, sequence, outcome, domain, device, country, region, client, \
                 covered_by) SELECT {}, value ->> 1, {}, {}, value ->> 4, value ->> 5, value ->> 6, value ->> 7, \
                 value ->> 8, value ->> 9, value ->> 10 FROM {items}",
                int(0),
                int(2),
                int(3)
            )),
            // The first table is empty unless a plan is watched: then nothing else is looked at. Updating a candidate that exists
            // makes a scan that is about to remove it wait for this commit.
            insert_candidates: sql(format!(
                "INSERT INTO anomaly_candidates (license_id, day) SELECT DISTINCT value ->> 1, {} \
                 FROM (SELECT 1 FROM watched_plans LIMIT 1) AS watching CROSS JOIN {items} \
                 WHERE value ->> 2 = '{valid}' AND (value ->> 4 <> '' OR value ->> 5 <> '') \
                 AND EXISTS (SELECT 1 FROM licenses l JOIN watched_plans w ON w.plan = l.plan WHERE l.id = value ->> 1) \
                 AND NOT EXISTS (SELECT 1 FROM rollups r WHERE r.day = {} AND r.license_id = value ->> 1 \
                 AND r.outcome = value ->> 2 AND r.domain = value ->> 3 AND r.device = value ->> 4 \
                 AND r.country = value ->> 5) ON CONFLICT (license_id, day) DO UPDATE SET day = excluded.day",
                int(0),
                int(0)
            )),
            add_rollups: sql(format!(
                "INSERT INTO rollups ({ROLLUP_KEY}, count, first_at, last_at) SELECT {}, value ->> 1, value ->> 2, \
                 value ->> 3, value ->> 4, value ->> 5, {}, {}, {} FROM {items} WHERE 1 = 1 \
                 ON CONFLICT ({ROLLUP_KEY}) DO UPDATE SET count = rollups.count + excluded.count, first_at = {}, last_at = {}",
                int(0),
                int(6),
                int(7),
                int(8),
                earlier("rollups"),
                later("rollups.last_at")
            )),
            add_counters: sql(format!(
                "INSERT INTO license_counters (license_id, validation_count, last_validated_at) \
                 SELECT value ->> 0, {}, {} FROM {items} WHERE 1 = 1 ON CONFLICT (license_id) DO UPDATE SET \
                 validation_count = license_counters.validation_count + excluded.validation_count, \
                 last_validated_at = {}",
                int(1),
                int(2),
                later("license_counters.last_validated_at")
            )),
            seen_activations: sql(format!(
                "SELECT {read}, CASE WHEN activations.validations > 0 THEN activations.seen_at END AS last_seen_at, \
                 CAST(NULL AS BIGINT) AS as_of FROM {}",
                D::looked_up(&seen, "activations", columns, same_activation)
            )),
            update_seen: sql(format!(
                "UPDATE activations SET first_seen_at = s.first, seen_at = s.last, seen_day = s.last_day, \
                 validations = s.n, country = s.country FROM (SELECT value ->> 0 AS license_id, value ->> 1 AS kind, \
                 value ->> 2 AS value, {} AS created_at, {} AS first, {} AS last, {} AS last_day, {} AS n, \
                 value ->> 8 AS country FROM {items}) AS s \
                 WHERE activations.license_id = s.license_id AND activations.kind = s.kind \
                 AND activations.value = s.value AND activations.created_at = s.created_at",
                int(3),
                int(4),
                int(5),
                int(6),
                int(7)
            )),
            prune_writers: SqlStr::from_static(
                "DELETE FROM writers WHERE at < (SELECT MAX(at) FROM writers) - 604800000000",
            ),
            marker: SqlStr::from_static("SELECT first, last, after_license, after_sequence FROM compaction"),
            // Not if the last row is gone: then others have finished this fold since its rows were read.
            start: SqlStr::from_static(
                "UPDATE compaction SET first = $1, last = $2, after_license = '', after_sequence = 0 \
                 WHERE last = 0 AND EXISTS (SELECT 1 FROM journal WHERE id = $2)",
            ),
            advance: SqlStr::from_static(
                "UPDATE compaction SET after_license = $4, after_sequence = $5 \
                 WHERE last = $1 AND after_license = $2 AND after_sequence = $3 RETURNING last",
            ),
            finish: SqlStr::from_static("UPDATE compaction SET last = 0 WHERE last = $1"),
            lock: D::LOCK_COMPACTION.map(SqlStr::from_static),
        }
    }
}

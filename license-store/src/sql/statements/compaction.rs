//! SQL that writes a fold of validations.

use license_core::usage::ValidationOutcome;

use super::fragments::{ROLLUP_KEY, qualified};

statements! {
    CompactionStatements {
        /// The ids of licenses that do not exist.
        unknown_licenses: format!(
            "SELECT value ->> 0 AS id FROM {items} \
             WHERE NOT EXISTS (SELECT 1 FROM licenses WHERE licenses.id = value ->> 0)"
        ),
        insert_validations: format!(
            "INSERT INTO validations (day, license_id, at, sequence, outcome, domain, device, country, region, client, \
             covered_by) SELECT #0, value ->> 1, #2, #3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, \
             value ->> 8, value ->> 9, value ->> 10 FROM {items}"
        ),
        /// Adds the days of watched licenses that get a new rollup with a device or a country.
        // If no plan is watched, the first table is empty, and nothing else is read. An existing candidate
        // is updated, so that a scan that is about to remove it waits for this commit.
        insert_anomaly_candidates: format!(
            "INSERT INTO anomaly_candidates (license_id, day) SELECT DISTINCT value ->> 1, #0 \
             FROM (SELECT 1 FROM watched_plans LIMIT 1) AS watching CROSS JOIN {items} \
             WHERE value ->> 2 = '{valid}' AND (value ->> 4 <> '' OR value ->> 5 <> '') \
             AND EXISTS (SELECT 1 FROM licenses l JOIN watched_plans w ON w.plan = l.plan WHERE l.id = value ->> 1) \
             AND NOT EXISTS (SELECT 1 FROM rollups r WHERE r.day = #0 AND r.license_id = value ->> 1 \
             AND r.outcome = value ->> 2 AND r.domain = value ->> 3 AND r.device = value ->> 4 \
             AND r.country = value ->> 5) ON CONFLICT (license_id, day) DO UPDATE SET day = excluded.day"
        ),
        add_rollups: format!(
            "INSERT INTO rollups ({ROLLUP_KEY}, count, first_at, last_at) SELECT #0, value ->> 1, value ->> 2, \
             value ->> 3, value ->> 4, value ->> 5, #6, #7, #8 FROM {items} WHERE 1 = 1 \
             ON CONFLICT ({ROLLUP_KEY}) DO UPDATE SET count = rollups.count + excluded.count, first_at = {}, last_at = {}",
            earlier("rollups", "first_at"),
            later("rollups", "last_at")
        ),
        add_counters: format!(
            "INSERT INTO license_counters (license_id, validation_count, last_validated_at, last_validated_day) \
             SELECT value ->> 0, #1, #2, #3 FROM {items} WHERE 1 = 1 ON CONFLICT (license_id) DO UPDATE SET \
             validation_count = license_counters.validation_count + excluded.validation_count, \
             last_validated_at = {}",
            later("license_counters", "last_validated_at")
        ),
        /// Moves the days of counters forward. Separate from `add_counters`, so that the index changes at
        /// most once a day for a license.
        move_days: format!(
            "UPDATE license_counters SET last_validated_day = s.day FROM \
             (SELECT value ->> 0 AS license_id, #3 AS day FROM {items}) AS s \
             WHERE license_counters.license_id = s.license_id \
             AND (license_counters.last_validated_day IS NULL OR license_counters.last_validated_day < s.day)"
        ),
        activations: format!(
            "SELECT {qualified}, CASE WHEN activations.validations > 0 THEN activations.last_seen_at END \
             AS last_validated_at, CAST(NULL AS BIGINT) AS as_of FROM {}",
            D::looked_up(
                &format!("{items} AS sighting"),
                "activations",
                columns,
                "activations.license_id = sighting.value ->> 0 AND activations.kind = sighting.value ->> 1 \
                 AND activations.value = sighting.value ->> 2"
            )
        ),
        update_last_seen: format!(
            "UPDATE activations SET first_seen_at = s.first, last_seen_at = s.last, last_seen_day = s.last_day, \
             validations = s.n, country = s.country FROM (SELECT value ->> 0 AS license_id, value ->> 1 AS kind, \
             value ->> 2 AS value, #3 AS created_at, #4 AS first, #5 AS last, #6 AS last_day, #7 AS n, \
             value ->> 8 AS country FROM {items}) AS s \
             WHERE activations.license_id = s.license_id AND activations.kind = s.kind \
             AND activations.value = s.value AND activations.created_at = s.created_at"
        ),
        /// The marker: which rows of the journal are being compacted, and how far.
        marker: "SELECT first, last, after_license, after_sequence FROM compaction",
        // If the last row is gone, another process has finished this fold since the rows were read.
        start:
            "UPDATE compaction SET first = $1, last = $2, after_license = '', after_sequence = 0 \
             WHERE last = 0 AND EXISTS (SELECT 1 FROM journal WHERE id = $2)",
        advance:
            "UPDATE compaction SET after_license = $4, after_sequence = $5 \
             WHERE last = $1 AND after_license = $2 AND after_sequence = $3 RETURNING last",
        finish: "UPDATE compaction SET last = 0 WHERE last = $1",
    } where {
        let items = D::items(1);
        let valid = ValidationOutcome::Valid;
        let columns = "license_id, kind, value, id, created_at, label, first_seen_at, last_seen_at, validations, \
            country, held_until, is_returned";
        let qualified = qualified("activations", columns);
    }
}

/// The smaller of the stored and the inserted value.
pub(crate) fn earlier(table: &str, column: &str) -> String {
    format!("CASE WHEN {table}.{column} < excluded.{column} THEN {table}.{column} ELSE excluded.{column} END")
}

/// The larger of the stored and the inserted value.
pub(crate) fn later(table: &str, column: &str) -> String {
    format!("CASE WHEN {table}.{column} > excluded.{column} THEN {table}.{column} ELSE excluded.{column} END")
}

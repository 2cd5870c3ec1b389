//! SQL of import and export.

use super::activations::list_all;
use super::fragments::{AS_OF, ROLLUP_KEY};
use super::license_columns;
use super::licenses::{COUNTED_LICENSES, COUNTERS};

statements! {
    TransferStatements {
        /// Takes the snapshot: it begins with the first read.
        first_read: "SELECT id FROM licenses LIMIT 1",
        licenses: format!(
            "SELECT {columns}, {COUNTERS}, {AS_OF} FROM {COUNTED_LICENSES} \
             WHERE l.id > $1 ORDER BY l.id LIMIT $2 + 0"
        ),
        activations: list_all(),
        /// Licenses whose id is in `$1`, whose key digest is in `$2`, or whose external id is in `$3`.
        holders: format!(
            "SELECT {holder} WHERE {} UNION SELECT {holder} WHERE {} \
             UNION SELECT {holder} WHERE external_id IS NOT NULL AND {}",
            D::is_one_of("id", 1),
            D::is_one_of_hex("key_digest", 2),
            D::is_one_of("external_id", 3)
        ),
        insert_counters: format!(
            "INSERT INTO license_counters (license_id, validation_count, last_validated_at, last_validated_day) \
             SELECT value ->> 0, #1, #2, #3 FROM {items}"
        ),
        /// For each rollup, by its index: whether its license exists, and whether the rollup does.
        find_rollups: format!(
            "SELECT #9 AS item, {} AS license_exists, {} AS rollup_exists FROM {items}",
            exists("SELECT 1 FROM licenses WHERE licenses.id = value ->> 1"),
            exists(
                "SELECT 1 FROM rollups WHERE day = #0 AND license_id = value ->> 1 AND outcome = value ->> 2 \
                 AND domain = value ->> 3 AND device = value ->> 4 AND country = value ->> 5"
            )
        ),
        insert_rollups: format!(
            "INSERT INTO rollups ({ROLLUP_KEY}, count, first_at, last_at) SELECT #0, value ->> 1, value ->> 2, \
             value ->> 3, value ->> 4, value ->> 5, #6, #7, #8 FROM {items} WHERE 1 = 1 \
             ON CONFLICT DO NOTHING RETURNING day"
        ),
    } where {
        let items = D::items(1);
        let columns = license_columns::names();
        let holder = "id, key_digest, external_id FROM licenses";
        let exists =
            |select: &str| format!("CAST(CASE WHEN EXISTS ({select}) THEN 1 ELSE 0 END AS BIGINT)");
    }
}

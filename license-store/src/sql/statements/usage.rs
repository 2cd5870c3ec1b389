//! SQL on rollups, and on the retention of usage.

use super::compaction::{earlier, later};
use super::fragments::{ROLLUP_KEY, qualified};
use super::reports::{days_of, rollups_of_days};

statements! {
    UsageStatements {
        /// Rollups after the key `$1` to `$6`, at most `$7`.
        rollups: format!(
            "SELECT {key}, count AS n, first_at, last_at FROM rollups WHERE ({key}) > ($1, $2, $3, $4, $5, $6) \
             ORDER BY {key} LIMIT $7 + 0"
        ),
        /// As `rollups`, of the license `$8`.
        rollups_of_license: format!(
            "WITH RECURSIVE {} SELECT {qualified}, rollups.count AS n, rollups.first_at, rollups.last_at FROM {} \
             AND ({qualified}) > ($1, $2, $3, $4, $5, $6) ORDER BY 1, 2, 3, 4, 5, 6 LIMIT $7 + 0",
            days_of("days", "rollups", "day >= $1"),
            rollups_of_days::<D>("$8")
        ),
        retention: "SELECT records_from, rollups_from FROM retention",
        retain_validations:
            "UPDATE retention SET records_from = $1 WHERE records_from IS NULL OR records_from < $1",
        retain_rollups: "UPDATE retention SET rollups_from = $1 WHERE rollups_from IS NULL OR rollups_from < $1",
        /// The last one of the oldest `$2` validations from before the day `$1`.
        last_old_validation:
            "SELECT day, license_id, at, sequence FROM (SELECT day, license_id, at, sequence FROM validations \
             WHERE day < $1 ORDER BY day, license_id, at, sequence LIMIT $2 + 0) AS oldest \
             ORDER BY day DESC, license_id DESC, at DESC, sequence DESC LIMIT 1",
        /// The last one of the oldest `$2` rollups from before the day `$1`.
        last_old_rollup: format!(
            "SELECT {key} FROM (SELECT {key} FROM rollups WHERE day < $1 ORDER BY {key} LIMIT $2 + 0) AS oldest \
             ORDER BY {descending} DESC LIMIT 1"
        ),
        /// Deletes validations up to the given one.
        delete_validations:
            "DELETE FROM validations WHERE day <= $1 AND (day, license_id, at, sequence) <= ($1, $2, $3, $4) \
             RETURNING sequence",
        /// Deletes rollups up to the given one.
        delete_rollups: format!(
            "DELETE FROM rollups WHERE day <= $1 AND ({key}) <= ($1, $2, $3, $4, $5, $6) \
             RETURNING {key}, count AS n, first_at, last_at"
        ),
        add_pruned: format!(
            "INSERT INTO pruned_usage (license_id, outcome, count, first_at, last_at) \
             SELECT value ->> 0, value ->> 1, #2, #3, #4 FROM {} WHERE 1 = 1 ORDER BY 1, 2 \
             ON CONFLICT (license_id, outcome) DO UPDATE SET count = pruned_usage.count + excluded.count, \
             first_at = {}, last_at = {}",
            D::items(1),
            earlier("pruned_usage", "first_at"),
            later("pruned_usage", "last_at")
        ),
    } where {
        let (key, descending) = (ROLLUP_KEY, ROLLUP_KEY.replace(',', " DESC,"));
        let qualified = qualified("rollups", key);
    }
}

//! SQL that writes expiry events.
//!
//! Parameter 1 is a JSON object with `licenses`, `counts` of licenses, events and endpoints, `endpoints` and
//! `deliveries`. Parameter 2 has the events.

use license_core::limits;

use super::events::{EVENT_ITEMS, insert_events};
use super::licenses::detail;
use super::webhooks::insert_deliveries;
use crate::sql::rows::NO_NOTICE;

/// Licenses that may get an event; as in the index `licenses_by_expiry`.
const PENDING: &str = "l.state = 'active' AND l.expires_at IS NOT NULL AND l.expiry_notice_days > 0";

statements! {
    ExpiryStatements {
        /// Returns a row if there is a notice from after `$1`.
        any_later_notice: "SELECT id FROM licenses WHERE expiry_notice_at IS NOT NULL AND expiry_notice_at > $1 LIMIT 1",
        /// Forgets notices from after `$1`, of at most `$2` licenses.
        forget_notices: format!(
            "UPDATE licenses SET expiry_notice_days = {NO_NOTICE}, expiry_notice_at = NULL WHERE expiry_notice_at > $1 \
             AND id IN (SELECT id FROM licenses WHERE expiry_notice_at IS NOT NULL AND expiry_notice_at > $1 \
             LIMIT $2 + 0) RETURNING id"
        ),
        /// The different `expiry_notice_days` of licenses that may get an event: one look into the index for
        /// each.
        notice_days: format!(
            "WITH RECURSIVE notices (days) AS (SELECT MIN(expiry_notice_days) FROM licenses l WHERE {PENDING} UNION ALL \
             SELECT (SELECT MIN(l.expiry_notice_days) FROM licenses l WHERE {PENDING} AND l.expiry_notice_days > notices.days) \
             FROM notices WHERE notices.days IS NOT NULL) SELECT days FROM notices WHERE days IS NOT NULL"
        ),
        /// Licenses with `expiry_notice_days` `$1` that expire by `$2`, at most `$3`.
        expiring: format!(
            "{} WHERE {PENDING} AND l.expiry_notice_days = $1 AND l.expires_at <= $2 \
             ORDER BY l.expires_at LIMIT $3 + 0",
            detail::<D>(limits::EVENT_ACTIVATIONS)
        ),
        /// Updates licenses that have not changed since they were read.
        update_licenses: update_licenses(""),
        /// Inserts the events of the licenses that were updated.
        insert_events: format!("{} {of_updated}", insert_events()),
        /// Reserves positions for all events, if no license and no endpoint has changed since it was read.
        reserve_positions: format!(
            "UPDATE position_counter SET last_position = last_position + {} \
             WHERE {} = (SELECT COUNT(*) FROM {unchanged}{all_sequenced}) AND {same_endpoints} \
             RETURNING last_position",
            count(1),
            count(0)
        ),
        /// As `update_licenses`, after the positions were reserved.
        update_all_licenses: update_licenses(&check_again),
        /// As `insert_events`, with the reserved positions.
        insert_sequenced_events: format!(
            "INSERT INTO events (license_id, sequence, event_type, at, data, position) \
             SELECT {EVENT_ITEMS}, {first_position} + #6 {of_updated}"
        ),
        insert_deliveries: insert_deliveries(
            &D::items_of(1, "deliveries"),
            &format!(
                "{first_position} + #1"
            ),
        ),
    } where {
        let (events, skip_locked) = (D::items(2), D::SKIP_LOCKED);
        let count = |n| format!("(SELECT #{n} FROM {})", D::items_of(1, "counts"));
        let unchanged = format!(
            "(SELECT value ->> 0 AS id, #1 AS version, #2 AS old_last_event, #3 AS notice_days, #4 AS last_event, #5 AS notice_at FROM {}) \
             AS d JOIN licenses l ON l.id = d.id WHERE l.version = d.version AND l.last_event = d.old_last_event",
            D::items_of(1, "licenses")
        );
        let update_licenses = |condition: &str| {
            format!(
                "UPDATE licenses SET expiry_notice_days = decided.notice_days, expiry_notice_at = decided.notice_at, \
                 last_event = decided.last_event \
                 FROM (SELECT l.id, d.notice_days, d.notice_at, d.last_event FROM {unchanged}{condition}{skip_locked}) AS decided \
                 WHERE licenses.id = decided.id RETURNING licenses.id"
            )
        };
        // A license was updated if its last event is that of the row. Events that existed before conflict.
        let of_updated = format!(
            "FROM {events} JOIN licenses ON licenses.id = value ->> 0 WHERE licenses.last_event = #5 \
             ON CONFLICT DO NOTHING RETURNING license_id"
        );
        let all_sequenced = " AND NOT EXISTS (SELECT 1 FROM events WHERE events.license_id = l.id AND events.position IS NULL)";
        let same_endpoints = format!(
            "{count} = (SELECT COUNT(*) FROM endpoints) AND {count} = (SELECT COUNT(*) FROM {} JOIN endpoints e ON \
             e.id = value ->> 0 AND e.event_types = value ->> 1 \
             AND CASE WHEN e.disabled_at IS NULL THEN 1 ELSE 0 END = #2)",
            D::items_of(1, "endpoints"),
            count = count(2)
        );
        // The previous statement may have waited for a lock after its read, so the conditions are repeated.
        let check_again =
            if D::SINGLE_WRITER { String::new() } else { format!(" AND {same_endpoints}{all_sequenced}") };
        let first_position = format!("(SELECT last_position FROM position_counter) - {}", count(1));
    }
}

//! SQL on events and their positions.

use license_core::event::EventType;
use license_core::license::LicenseId;
use license_core::store::{EventFilter, PageRequest};
use sqlx::SqlStr;

use super::list_query::ListQuery;
use super::webhooks::insert_deliveries;
use crate::sql::dialect::Value;

const EVENT: &str = "license_id, sequence, event_type, at, data, position";

/// The columns of an event without a position, from a JSON row.
pub(crate) const EVENT_ITEMS: &str = "value ->> 0, #1, value ->> 2, #3, value ->> 4";

statements! {
    EventStatements {
        insert: format!("{} FROM {items}", insert_events()),
        update_data: format!(
            "UPDATE events SET data = erased.data FROM (SELECT #0 AS sequence, value ->> 1 AS data FROM {items}) \
             AS erased WHERE events.license_id = $2 AND events.sequence = erased.sequence"
        ),
        of_license:
            "SELECT sequence, event_type, at, data FROM events \
             WHERE license_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3 + 0",
        after: format!(
            "SELECT {EVENT} FROM events WHERE position > $1 ORDER BY position LIMIT $2 + 0"
        ),
        at_positions: format!(
            "SELECT {EVENT} FROM events WHERE position IN (SELECT #0 FROM {items})"
        ),
        /// Events from the time `$2` on, after the position `$1`, without their data.
        since: format!(
            "SELECT license_id, sequence, event_type, position, {job} AS job FROM events \
             WHERE position > $1 AND at >= $2 ORDER BY position LIMIT $3 + 0"
        ),
        last_position: "SELECT last_position FROM position_counter",
        /// Returns a row if an event has no position.
        any_without_position: "SELECT sequence FROM events WHERE position IS NULL LIMIT 1",
        without_position: format!(
            "SELECT license_id, sequence, event_type, at, {job} AS job FROM events WHERE position IS NULL \
             ORDER BY license_id, sequence LIMIT $1 + 0"
        ),
        /// Moves the last position, if it is still the one that was read.
        advance: format!(
            "UPDATE position_counter SET last_position = {} WHERE last_position = {} RETURNING last_position",
            range(1),
            range(0)
        ),
        set_positions: format!(
            "UPDATE events SET position = p.position FROM (SELECT value ->> 0 AS license_id, #1 AS sequence, \
             #2 AS position FROM {}) AS p \
             WHERE events.license_id = p.license_id AND events.sequence = p.sequence RETURNING events.sequence",
            D::items_of(1, "positions")
        ),
        // An endpoint may have been deleted since it was read.
        insert_deliveries: format!(
            "{} WHERE EXISTS (SELECT 1 FROM endpoints WHERE id = value ->> 0) ON CONFLICT DO NOTHING",
            insert_deliveries(&D::items_of(1, "deliveries"), "#1")
        ),
        acknowledged: "SELECT position FROM event_cursors WHERE name = $1",
        acknowledge:
            "INSERT INTO event_cursors (name, position) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE \
             SET position = excluded.position WHERE event_cursors.position < excluded.position",
        prune:
            "DELETE FROM events WHERE position IN (SELECT position FROM events e WHERE e.at < $1 \
             AND e.position IS NOT NULL AND e.position <= COALESCE((SELECT MIN(position) FROM event_cursors), e.position) \
             AND NOT EXISTS (SELECT 1 FROM endpoints p JOIN deliveries d ON d.endpoint_id = p.id \
             WHERE d.position = e.position) ORDER BY e.at LIMIT $2 + 0) RETURNING license_id",
        /// Adds to the number of events that licenses no longer have here. Skips events of endpoints.
        add_absent: format!(
            "INSERT INTO absent_events (license_id, count) SELECT value ->> 0, #1 FROM {items} \
             WHERE EXISTS (SELECT 1 FROM licenses WHERE licenses.id = value ->> 0) ORDER BY 1 \
             ON CONFLICT (license_id) DO UPDATE SET count = absent_events.count + excluded.count"
        ),
    } where {
        let (items, job) = (D::items(1), D::text_member("data", "job"));
        let range = |n| format!("(SELECT #{n} FROM {})", D::items_of(1, "range"));
    }
}

impl EventStatements {
    /// A page of the events that match a filter, newest first. Events of one license are ordered by number,
    /// which is the order of their positions too.
    pub(crate) fn list<'a>(filter: &'a EventFilter, page: &PageRequest<u64>) -> (SqlStr, Vec<Value<'a>>) {
        let EventFilter { event_type, license_id, from, to } = filter;
        let mut list = ListQuery::new(page.limit);
        list.filter("event_type = ?", event_type.map(EventType::as_str));
        list.filter("license_id = ?", license_id.as_ref().map(LicenseId::as_str));
        list.filter("at >= ?", from.map(|from| from.timestamp_micros()));
        list.filter("at < ?", to.map(|to| to.timestamp_micros()));
        list.filter("position < ?", page.after.map(crate::sql::rows::int));
        let order = if license_id.is_some() { "sequence DESC" } else { "position DESC" };
        list.build(&format!("SELECT {EVENT} FROM events WHERE position IS NOT NULL"), order)
    }
}

/// Inserts events without a position from JSON rows, which follow as `FROM …`.
pub(crate) fn insert_events() -> String {
    format!("INSERT INTO events (license_id, sequence, event_type, at, data) SELECT {EVENT_ITEMS}")
}

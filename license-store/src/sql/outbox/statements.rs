//! The texts of SQL of the outbox, once, for all dialects.

use license_core::event::EventType;
use license_core::outbox::EventFilter;
use license_core::store::PageRequest;
use sqlx::SqlStr;

use crate::sql::dialect::{Dialect, Value};
use crate::sql::statements::{EVENT_ITEMS, INSERT_EVENT_ROWS, detail, sql};

const ENDPOINT: &str = "id, url, event_types, description, disabled_at, disabled_reason, secret, previous_secret, \
    previous_secret_until, created_at, updated_at, last_success_at, failing_since, last_event";
const DELIVERY: &str = "d.endpoint_id, d.position, d.license_id, d.sequence, d.status, d.tries, d.due_at, d.token, \
    d.created_at, d.attempts";
const EVENT: &str = "license_id, sequence, event_type, at, data, position";

#[derive(Debug)]
pub(in crate::sql) struct OutboxStatements {
    /// Who has the row locked gives positions out, and changes endpoints.
    pub(super) lock: SqlStr,
    pub(super) last_position: SqlStr,
    pub(super) any_unpublished: SqlStr,
    pub(super) unpublished: SqlStr,
    /// Moves the last position, if it is still the one that was read.
    pub(super) advance: SqlStr,
    pub(super) position: SqlStr,
    pub(super) insert_deliveries: SqlStr,
    pub(super) published_after: SqlStr,
    pub(super) published_since: SqlStr,
    pub(super) at_positions: SqlStr,
    pub(super) ending: SqlStr,
    /// Sets the expiry notice of licenses that are still as they were read.
    pub(super) note_told: SqlStr,
    pub(super) insert_told: SqlStr,
    /// Takes positions for all events, if all licenses and endpoints are as they were read.
    pub(super) take_places: SqlStr,
    pub(super) note_all: SqlStr,
    pub(super) insert_all: SqlStr,
    pub(super) deliver_all: SqlStr,
    pub(super) limit_told: SqlStr,
    pub(super) note_limit: SqlStr,
    pub(super) watched: SqlStr,
    pub(super) watch: SqlStr,
    pub(super) unwatch: SqlStr,
    pub(super) anomaly_candidates: SqlStr,
    pub(super) remove_candidate: SqlStr,
    pub(super) day_figures: SqlStr,
    pub(super) acknowledged: SqlStr,
    pub(super) acknowledge: SqlStr,
    pub(super) count_endpoints: SqlStr,
    pub(super) insert_endpoint: SqlStr,
    pub(super) update_endpoint: SqlStr,
    pub(super) endpoints: SqlStr,
    pub(super) endpoint: SqlStr,
    pub(super) lock_endpoint: SqlStr,
    pub(super) lock_endpoints: SqlStr,
    pub(super) delete_endpoint: SqlStr,
    pub(super) delete_deliveries: SqlStr,
    pub(super) due_endpoints: SqlStr,
    pub(super) next_due: SqlStr,
    pub(super) under_way: SqlStr,
    pub(super) ready: SqlStr,
    pub(super) claim: SqlStr,
    pub(super) replay_deliveries: SqlStr,
    pub(super) update_delivery: SqlStr,
    pub(super) due_now: SqlStr,
    pub(super) delivery: SqlStr,
    pub(super) prune_deliveries: SqlStr,
    pub(super) prune_events: SqlStr,
}

impl OutboxStatements {
    #[expect(clippy::too_many_lines, reason = "one list of texts")]
    pub(in crate::sql) fn new<D: Dialect>() -> Self {
        let (for_update, skip_locked) = (D::FOR_UPDATE, D::SKIP_LOCKED);
        let items = D::items(1);
        let int = |n: u8| format!("CAST(value ->> {n} AS BIGINT)");
        let delivery_rows = |items: &str, position: &str| {
            format!(
                "INSERT INTO deliveries (endpoint_id, position, license_id, sequence, status, tries, due_at, created_at, \
                 attempts) SELECT value ->> 0, {position}, value ->> 2, {}, 'pending', 0, {due}, {due}, '[]' FROM {items}",
                int(3),
                due = int(4)
            )
        };
        let (told, events) = (D::items_of(1, "told"), D::items(2));
        // Of what was decided, that which is still so.
        let noted = format!(
            "(SELECT value ->> 0 AS id, {} AS version, {} AS before, {} AS told, {} AS last_event FROM {told}) AS n \
             JOIN licenses l ON l.id = n.id WHERE l.version = n.version AND l.last_event = n.before",
            int(1),
            int(2),
            int(3),
            int(4)
        );
        let note_told = |condition: &str| {
            format!(
                "UPDATE licenses SET expiry_notified = t.told, last_event = t.last_event \
                 FROM (SELECT l.id, n.told, n.last_event FROM {noted}{condition}{skip_locked}) AS t \
                 WHERE licenses.id = t.id RETURNING licenses.id"
            )
        };
        // Of licenses whose last event is this one, and was not there: those that were noted.
        let insert_told = format!(
            "{INSERT_EVENT_ROWS} FROM {events} JOIN licenses ON licenses.id = value ->> 0 WHERE licenses.last_event = {} \
             ON CONFLICT DO NOTHING RETURNING license_id",
            int(5)
        );
        // All of that, where it can have positions, and who is to be told is known.
        let counted = |n| format!("(SELECT {} FROM {})", int(n), D::items_of(1, "counts"));
        let in_order = " AND NOT EXISTS (SELECT 1 FROM events WHERE events.license_id = l.id AND events.position IS NULL)";
        let same_endpoints = format!(
            "{count} = (SELECT COUNT(*) FROM endpoints) AND {count} = (SELECT COUNT(*) FROM {} JOIN endpoints e ON \
             e.id = value ->> 0 AND e.event_types = value ->> 1 \
             AND CASE WHEN e.disabled_at IS NULL THEN 1 ELSE 0 END = {})",
            D::items_of(1, "endpoints"),
            int(2),
            count = counted(2)
        );
        let take_places = format!(
            "UPDATE outbox SET last_position = last_position + {} \
             WHERE {} = (SELECT COUNT(*) FROM {noted}{in_order}) AND {same_endpoints} \
             RETURNING last_position",
            counted(1),
            counted(0)
        );
        // Where the lock was waited for, what was read before it may be different now.
        let again = if D::SINGLE_WRITER { String::new() } else { format!(" AND {same_endpoints}{in_order}") };
        let note_all = note_told(&again);
        let before = format!("(SELECT last_position FROM outbox) - {}", counted(1));
        let insert_all = format!(
            "INSERT INTO events (license_id, sequence, event_type, at, data, position) SELECT {EVENT_ITEMS}, {before} + {} \
             FROM {events} JOIN licenses ON licenses.id = value ->> 0 WHERE licenses.last_event = {} \
             ON CONFLICT DO NOTHING RETURNING license_id",
            int(6),
            int(5)
        );
        let deliver_all = delivery_rows(&D::items_of(1, "deliveries"), &format!("{before} + {}", int(1)));
        let place = |n| format!("(SELECT {} FROM {})", int(n), D::items_of(1, "place"));
        let advance = format!(
            "UPDATE outbox SET last_position = {} WHERE last_position = {} RETURNING last_position",
            place(1),
            place(0)
        );
        let position = format!(
            "UPDATE events SET position = p.position FROM (SELECT value ->> 0 AS license_id, {} AS sequence, \
             {} AS position FROM {}) AS p \
             WHERE events.license_id = p.license_id AND events.sequence = p.sequence RETURNING events.sequence",
            int(1),
            int(2),
            D::items_of(1, "positions")
        );
        // An endpoint may be gone since it was read.
        let insert_deliveries = format!(
            "{} WHERE EXISTS (SELECT 1 FROM endpoints WHERE id = value ->> 0) ON CONFLICT DO NOTHING",
            delivery_rows(&D::items_of(1, "deliveries"), &int(1))
        );
        Self {
            lock: sql(format!("SELECT last_position FROM outbox{for_update}")),
            last_position: SqlStr::from_static("SELECT last_position FROM outbox"),
            any_unpublished: SqlStr::from_static(
                "SELECT sequence FROM events WHERE position IS NULL LIMIT 1",
            ),
            unpublished: SqlStr::from_static(
                "SELECT license_id, sequence, event_type, at FROM events WHERE position IS NULL \
                 ORDER BY license_id, sequence LIMIT $1 + 0",
            ),
            advance: sql(advance),
            position: sql(position),
            insert_deliveries: sql(insert_deliveries),
            published_after: sql(format!(
                "SELECT {EVENT} FROM events WHERE position > $1 ORDER BY position LIMIT $2 + 0"
            )),
            published_since: SqlStr::from_static(
                "SELECT license_id, sequence, event_type, position FROM events WHERE position > $1 AND at >= $2 \
                 ORDER BY position LIMIT $3 + 0",
            ),
            at_positions: sql(format!(
                "SELECT {EVENT} FROM events WHERE position IN (SELECT {} FROM {items})",
                int(0)
            )),
            ending: sql(format!(
                "{} WHERE l.state = 'active' AND l.expires_at IS NOT NULL AND l.expiry_notified < 2 \
                 AND l.expiry_notified = $1 AND l.expires_at <= $2 ORDER BY l.expires_at LIMIT $3 + 0",
                detail::<D>(license_core::limits::EVENT_ACTIVATIONS)
            )),
            note_told: sql(note_told("")),
            insert_told: sql(insert_told),
            take_places: sql(take_places),
            note_all: sql(note_all),
            insert_all: sql(insert_all),
            deliver_all: sql(deliver_all),
            limit_told: SqlStr::from_static(
                "SELECT at FROM limit_notices WHERE license_id = $1 AND kind = $2",
            ),
            note_limit: SqlStr::from_static(
                "INSERT INTO limit_notices (license_id, kind, at) VALUES ($1, $2, $3) \
                 ON CONFLICT (license_id, kind) DO UPDATE SET at = excluded.at",
            ),
            watched: SqlStr::from_static("SELECT plan FROM watched_plans ORDER BY plan"),
            watch: sql(format!(
                "INSERT INTO watched_plans (plan) SELECT value ->> 0 FROM {items} WHERE 1 = 1 ON CONFLICT DO NOTHING"
            )),
            unwatch: sql(format!("DELETE FROM watched_plans WHERE {}", D::is_one_of("plan", 1))),
            anomaly_candidates: SqlStr::from_static(
                "SELECT license_id, day FROM anomaly_candidates ORDER BY license_id, day LIMIT $1 + 0",
            ),
            remove_candidate: SqlStr::from_static(
                "DELETE FROM anomaly_candidates WHERE license_id = $1 AND day = $2",
            ),
            day_figures: SqlStr::from_static(
                "SELECT COUNT(DISTINCT CASE WHEN country <> '' THEN country END) AS countries, \
                 COUNT(DISTINCT CASE WHEN device <> '' THEN device END) AS devices \
                 FROM rollups WHERE day = $2 AND license_id = $1 AND outcome = 'VALID'",
            ),
            acknowledged: SqlStr::from_static("SELECT position FROM event_cursors WHERE name = $1"),
            acknowledge: SqlStr::from_static(
                "INSERT INTO event_cursors (name, position) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE \
                 SET position = excluded.position WHERE event_cursors.position < excluded.position",
            ),
            count_endpoints: SqlStr::from_static("SELECT COUNT(*) AS n FROM endpoints"),
            insert_endpoint: sql(format!(
                "INSERT INTO endpoints ({ENDPOINT}) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
                 ON CONFLICT DO NOTHING RETURNING id"
            )),
            update_endpoint: SqlStr::from_static(
                "UPDATE endpoints SET url = $2, event_types = $3, description = $4, disabled_at = $5, \
                 disabled_reason = $6, secret = $7, previous_secret = $8, previous_secret_until = $9, created_at = $10, \
                 updated_at = $11, last_success_at = $12, failing_since = $13, last_event = $14 WHERE id = $1",
            ),
            endpoints: sql(format!("SELECT {ENDPOINT} FROM endpoints ORDER BY id")),
            endpoint: sql(format!("SELECT {ENDPOINT} FROM endpoints WHERE id = $1")),
            lock_endpoint: sql(format!("SELECT {ENDPOINT} FROM endpoints WHERE id = $1{for_update}")),
            lock_endpoints: sql(format!(
                "SELECT {ENDPOINT} FROM endpoints WHERE disabled_at IS NULL AND {} ORDER BY id{for_update}",
                D::is_one_of("id", 1)
            )),
            delete_endpoint: SqlStr::from_static("DELETE FROM endpoints WHERE id = $1 RETURNING id"),
            delete_deliveries: SqlStr::from_static("DELETE FROM deliveries WHERE endpoint_id = $1"),
            // The least of an index, for each of a few endpoints.
            due_endpoints: SqlStr::from_static(
                "SELECT id FROM endpoints WHERE disabled_at IS NULL AND EXISTS (SELECT 1 FROM deliveries \
                 WHERE endpoint_id = endpoints.id AND due_at IS NOT NULL AND due_at <= $1)",
            ),
            next_due: SqlStr::from_static(
                "SELECT MIN(due) AS due_at FROM (SELECT (SELECT MIN(due_at) FROM deliveries \
                 WHERE endpoint_id = endpoints.id AND due_at IS NOT NULL AND due_at > $1) AS due \
                 FROM endpoints WHERE disabled_at IS NULL) AS dues",
            ),
            under_way: SqlStr::from_static(
                "SELECT COUNT(*) AS n FROM deliveries WHERE endpoint_id = $1 AND token IS NOT NULL AND due_at > $2",
            ),
            ready: sql(format!(
                "SELECT {DELIVERY} FROM deliveries d WHERE d.endpoint_id = $1 AND d.due_at IS NOT NULL \
                 AND d.due_at <= $2 AND (d.tries > 0 OR NOT EXISTS (SELECT 1 FROM deliveries earlier \
                 WHERE earlier.endpoint_id = d.endpoint_id AND earlier.license_id = d.license_id \
                 AND earlier.sequence < d.sequence AND earlier.tries = 0 AND earlier.due_at IS NOT NULL)) \
                 ORDER BY d.due_at, d.position LIMIT $3 + 0"
            )),
            claim: sql(format!(
                "UPDATE deliveries SET due_at = $2, token = $3 FROM (SELECT value ->> 0 AS endpoint_id, \
                 {} AS position FROM {items}) AS c \
                 WHERE deliveries.endpoint_id = c.endpoint_id AND deliveries.position = c.position",
                int(1)
            )),
            replay_deliveries: sql(format!(
                "{} WHERE 1 = 1 ON CONFLICT (endpoint_id, position) DO UPDATE SET status = 'pending', tries = 0, \
                 due_at = excluded.due_at, token = NULL \
                 WHERE deliveries.token IS NULL OR deliveries.due_at <= excluded.due_at RETURNING position",
                delivery_rows(&items, &int(1))
            )),
            update_delivery: SqlStr::from_static(
                "UPDATE deliveries SET status = $3, tries = $4, due_at = $5, token = NULL, attempts = $6 \
                 WHERE endpoint_id = $1 AND position = $2",
            ),
            due_now: SqlStr::from_static(
                "UPDATE deliveries SET due_at = $2, token = NULL \
                 WHERE endpoint_id = $1 AND due_at IS NOT NULL AND (token IS NULL OR due_at <= $2)",
            ),
            delivery: sql(format!(
                "SELECT {DELIVERY}, e.event_type FROM events e JOIN deliveries d ON d.position = e.position \
                 WHERE d.endpoint_id = $1 AND e.license_id = $2 AND e.sequence = $3 AND e.position IS NOT NULL"
            )),
            prune_deliveries: SqlStr::from_static(
                "DELETE FROM deliveries WHERE due_at IS NULL AND (endpoint_id, position) IN \
                 (SELECT endpoint_id, position FROM deliveries WHERE due_at IS NULL AND created_at < $1 \
                 ORDER BY created_at LIMIT $2 + 0) RETURNING position",
            ),
            prune_events: SqlStr::from_static(
                "DELETE FROM events WHERE position IN (SELECT position FROM events e WHERE e.at < $1 \
                 AND e.position IS NOT NULL AND e.position <= COALESCE((SELECT MIN(position) FROM event_cursors), e.position) \
                 AND NOT EXISTS (SELECT 1 FROM endpoints p JOIN deliveries d ON d.endpoint_id = p.id \
                 WHERE d.position = e.position) ORDER BY e.at LIMIT $2 + 0) RETURNING position",
            ),
        }
    }

    /// The page of events that pass a filter. Those of one license are read by its numbers, whose order is the same.
    pub(super) fn published<'a>(
        filter: &'a EventFilter,
        page: &PageRequest<u64>,
    ) -> (SqlStr, Vec<Value<'a>>) {
        let EventFilter { event_type, license_id, from, to } = filter;
        let mut conditions = Conditions::new(page);
        if let Some(event_type) = event_type {
            conditions.ask("event_type = ?", EventType::as_str(*event_type).into());
        }
        if let Some(id) = license_id {
            conditions.ask("license_id = ?", id.as_str().into());
        }
        if let Some(from) = from {
            conditions.ask("at >= ?", from.timestamp_micros().into());
        }
        if let Some(to) = to {
            conditions.ask("at < ?", to.timestamp_micros().into());
        }
        if let Some(after) = page.after {
            conditions.ask("position < ?", crate::sql::rows::int(after).into());
        }
        let order = if license_id.is_some() { "sequence" } else { "position" };
        let Conditions { values, conditions } = conditions;
        let text = format!(
            "SELECT {EVENT} FROM events WHERE position IS NOT NULL{conditions} ORDER BY {order} DESC LIMIT $1 + 0"
        );
        (sql(text), values)
    }

    /// The page of deliveries to an endpoint.
    pub(super) fn deliveries<'a>(
        endpoint: &'a str,
        status: Option<&'a str>,
        page: &PageRequest<u64>,
    ) -> (SqlStr, Vec<Value<'a>>) {
        let mut conditions = Conditions::new(page);
        conditions.ask("d.endpoint_id = ?", endpoint.into());
        if let Some(status) = status {
            conditions.ask("d.status = ?", status.into());
        }
        if let Some(after) = page.after {
            conditions.ask("d.position < ?", crate::sql::rows::int(after).into());
        }
        let Conditions { values, conditions } = conditions;
        let text = format!(
            "SELECT {DELIVERY}, e.event_type FROM deliveries d JOIN events e ON e.position = d.position \
             WHERE e.position IS NOT NULL{conditions} ORDER BY d.position DESC LIMIT $1 + 0"
        );
        (sql(text), values)
    }
}

/// Conditions that are asked for, with their parameters behind the first, which is the length of the page.
struct Conditions<'a> {
    values: Vec<Value<'a>>,
    conditions: String,
}

impl<'a> Conditions<'a> {
    fn new(page: &PageRequest<u64>) -> Self {
        Self { values: vec![Value::from(i64::from(page.limit) + 1)], conditions: String::new() }
    }

    fn ask(&mut self, condition: &str, value: Value<'a>) {
        self.values.push(value);
        let condition = condition.replace('?', &format!("${}", self.values.len()));
        self.conditions.push_str(" AND ");
        self.conditions.push_str(&condition);
    }
}

//! SQL on endpoints and deliveries.

use license_core::store::PageRequest;
use sqlx::SqlStr;

use super::list_query::ListQuery;
use crate::sql::dialect::Value;

const ENDPOINT: &str = "id, url, event_types, description, disabled_at, disabled_reason, secret, previous_secret, \
    previous_secret_until, created_at, updated_at, last_success_at, failing_since, failing_last_at, failing_lasted, last_event, \
    skip_job_events";
const DELIVERY: &str = "d.endpoint_id, d.position, d.license_id, d.sequence, d.status, d.tries, d.due_at, d.token, \
    d.created_at, d.attempts";
/// First attempts, which are always due; as in the index `deliveries_first`.
const FIRST: &str = "due_at IS NOT NULL AND tries = 0 AND token IS NULL";
/// Leases and retries; as in the index `deliveries_due`.
const TIMED: &str = "due_at IS NOT NULL AND (tries > 0 OR token IS NOT NULL)";

statements! {
    WebhookStatements {
        /// Locks the position counter: its holder assigns positions and changes endpoints.
        lock_positions: format!("SELECT last_position FROM position_counter{for_update}"),
        /// Deliveries of enabled endpoints that are not settled.
        backlog:
            "SELECT COUNT(*) AS n, MIN(due_at) AS oldest FROM deliveries \
             WHERE due_at IS NOT NULL AND endpoint_id IN (SELECT id FROM endpoints WHERE disabled_at IS NULL)",
        count_endpoints: "SELECT COUNT(*) AS n FROM endpoints",
        insert_endpoint: format!(
            "INSERT INTO endpoints ({ENDPOINT}) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
             ON CONFLICT DO NOTHING RETURNING id"
        ),
        update_endpoint:
            "UPDATE endpoints SET url = $2, event_types = $3, description = $4, disabled_at = $5, \
             disabled_reason = $6, secret = $7, previous_secret = $8, previous_secret_until = $9, created_at = $10, \
             updated_at = $11, last_success_at = $12, failing_since = $13, \
             failing_last_at = $14, failing_lasted = $15, last_event = $16, skip_job_events = $17 WHERE id = $1",
        endpoints: format!("SELECT {ENDPOINT} FROM endpoints ORDER BY id"),
        endpoint: format!("SELECT {ENDPOINT} FROM endpoints WHERE id = $1"),
        lock_endpoint: format!("SELECT {ENDPOINT} FROM endpoints WHERE id = $1{for_update}"),
        /// Locks those of the endpoints `$1` that are enabled, in the order of their ids.
        lock_endpoints: format!(
            "SELECT {ENDPOINT} FROM endpoints WHERE disabled_at IS NULL AND {} ORDER BY id{for_update}",
            D::is_one_of("id", 1)
        ),
        delete_endpoint: "DELETE FROM endpoints WHERE id = $1 RETURNING id",
        delete_deliveries: "DELETE FROM deliveries WHERE endpoint_id = $1",
        /// Ids of enabled endpoints with a delivery that may be leased at `$1`, if leases that end after `$2`
        /// and retries that are due after `$3` count as due.
        // A few looks into indexes for each endpoint, of which there are few.
        due_endpoints: format!(
            "SELECT id FROM endpoints WHERE disabled_at IS NULL AND ({})",
            [
                exists(FIRST),
                exists(&format!("{TIMED} AND due_at <= $1")),
                exists("token IS NOT NULL AND due_at > $2"),
                exists(&format!("{TIMED} AND token IS NULL AND due_at > $3")),
            ]
            .join(" OR ")
        ),
        next_due: format!(
            "SELECT MIN(due) AS due_at FROM (SELECT (SELECT MIN(due_at) FROM deliveries \
             WHERE endpoint_id = endpoints.id AND {TIMED} AND due_at > $1) AS due \
             FROM endpoints WHERE disabled_at IS NULL) AS dues"
        ),
        /// Number of leases of the endpoint `$1` that end after `$2` and by `$3`.
        count_leased:
            "SELECT COUNT(*) AS n FROM deliveries \
             WHERE endpoint_id = $1 AND token IS NOT NULL AND due_at > $2 AND due_at <= $3",
        /// First attempts to the endpoint `$1`, at most `$2`.
        ready_first: format!(
            "SELECT {DELIVERY} FROM deliveries d WHERE d.endpoint_id = $1 AND {FIRST} AND {in_order} \
             ORDER BY d.position LIMIT $2 + 0"
        ),
        /// Other deliveries to the endpoint `$1` that can be leased at `$2`, at most `$3`; `$4` and `$5` as
        /// `$2` and `$3` of `due_endpoints`.
        ready_timed: format!(
            "SELECT {DELIVERY} FROM deliveries d WHERE d.endpoint_id = $1 AND d.due_at IS NOT NULL AND {in_order} \
             AND d.position IN (\
             SELECT position FROM (SELECT position FROM deliveries WHERE endpoint_id = $1 AND {TIMED} \
             AND due_at <= $2 ORDER BY due_at, position LIMIT $3 + 0) AS due UNION ALL \
             SELECT position FROM deliveries WHERE endpoint_id = $1 AND token IS NOT NULL AND due_at > $4 UNION ALL \
             SELECT position FROM (SELECT position FROM deliveries WHERE endpoint_id = $1 AND {TIMED} \
             AND token IS NULL AND due_at > $5 ORDER BY due_at, position LIMIT $3 + 0) AS stuck) \
             ORDER BY d.due_at, d.position LIMIT $3 + 0"
        ),
        lease: format!(
            "UPDATE deliveries SET due_at = $2, token = $3 FROM (SELECT value ->> 0 AS endpoint_id, \
             #1 AS position FROM {items}) AS leased \
             WHERE deliveries.endpoint_id = leased.endpoint_id AND deliveries.position = leased.position"
        ),
        /// Makes deliveries due. Leases that end after `$2` have lapsed.
        replay: format!(
            "{} WHERE 1 = 1 ON CONFLICT (endpoint_id, position) DO UPDATE SET status = 'pending', tries = 0, \
             due_at = excluded.due_at, token = NULL WHERE deliveries.token IS NULL \
             OR deliveries.due_at <= excluded.due_at OR deliveries.due_at > $2 RETURNING position",
            insert_deliveries(&items, "#1")
        ),
        update_delivery:
            "UPDATE deliveries SET status = $3, tries = $4, due_at = $5, token = NULL, attempts = $6 \
             WHERE endpoint_id = $1 AND position = $2",
        /// Makes pending deliveries of the endpoint `$1` that are not leased due at `$2`. Leases that end
        /// after
        /// `$3` have lapsed.
        make_due:
            "UPDATE deliveries SET due_at = $2, token = NULL \
             WHERE endpoint_id = $1 AND due_at IS NOT NULL AND (token IS NULL OR due_at <= $2 OR due_at > $3)",
        /// Removes the attempts of the deliveries of events of the license `$2`, whose numbers are in `$1`.
        erase_attempts: format!(
            "UPDATE deliveries SET attempts = '[]' WHERE endpoint_id IN (SELECT id FROM endpoints) AND position IN \
             (SELECT position FROM events WHERE license_id = $2 AND sequence IN (SELECT #0 FROM {items}))"
        ),
        delivery: format!(
            "SELECT {DELIVERY}, e.event_type FROM events e JOIN deliveries d ON d.position = e.position \
             WHERE d.endpoint_id = $1 AND e.license_id = $2 AND e.sequence = $3 AND e.position IS NOT NULL"
        ),
        prune_deliveries:
            "DELETE FROM deliveries WHERE due_at IS NULL AND (endpoint_id, position) IN \
             (SELECT endpoint_id, position FROM deliveries WHERE due_at IS NULL AND created_at < $1 \
             ORDER BY created_at LIMIT $2 + 0) RETURNING position",
    } where {
        let (for_update, items) = (D::FOR_UPDATE, D::items(1));
        let exists = |condition: &str| {
            format!("EXISTS (SELECT 1 FROM deliveries WHERE endpoint_id = endpoints.id AND {condition})")
        };
        let in_order = "(d.tries > 0 OR NOT EXISTS (SELECT 1 FROM deliveries earlier \
             WHERE earlier.endpoint_id = d.endpoint_id AND earlier.license_id = d.license_id \
             AND earlier.sequence < d.sequence AND earlier.tries = 0 AND earlier.due_at IS NOT NULL))";
    }
}

impl WebhookStatements {
    /// A page of the deliveries to an endpoint, newest event first.
    pub(crate) fn deliveries<'a>(
        endpoint: &'a str,
        status: Option<&'a str>,
        page: &PageRequest<u64>,
    ) -> (SqlStr, Vec<Value<'a>>) {
        let mut list = ListQuery::new(page.limit);
        list.filter("d.endpoint_id = ?", Some(endpoint));
        list.filter("d.status = ?", status);
        list.filter("d.position < ?", page.after.map(crate::sql::rows::int));
        let select = format!(
            "SELECT {DELIVERY}, e.event_type FROM deliveries d JOIN events e ON e.position = d.position \
             WHERE e.position IS NOT NULL"
        );
        list.build(&select, "d.position DESC")
    }
}

/// Inserts deliveries from the JSON rows `items`. `position` is the SQL of the event's position.
pub(crate) fn insert_deliveries(items: &str, position: &str) -> String {
    format!(
        "INSERT INTO deliveries (endpoint_id, position, license_id, sequence, status, tries, due_at, created_at, \
         attempts) SELECT value ->> 0, {position}, value ->> 2, #3, 'pending', 0, #4, #4, '[]' FROM {items}"
    )
}

//! Every text of SQL, once, for all dialects; built when a store is opened.
//!
//! `LIMIT $1 + 0`, never `LIMIT $1`: SQLite plans for the value of a limit that is a parameter, and so prepares the statement anew
//! each time.

use license_core::license::{LicenseId, LicenseState, Status};
use license_core::limits;
use license_core::store::{LicenseFilter, PageRequest};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::dialect::{Dialect, Value};
use super::last_seen::{IDLE, least_recently_seen, listed_activations};

/// The columns of `licenses`, in the order of the parameters that write them.
pub(super) const COLUMNS: &str = "id, key_digest, sealed_key, state, plan, customer_email, max_domains, max_devices, \
    domains_used, devices_used, created_at, activated_at, expires_at, metadata, version, last_event, expiry_notified";

/// Columns of `activations` that a decision reads.
const ACTIVATION: &str = "id, kind, value, created_at, label";

/// The time of the oldest validation that waits to be compacted; NULL if none waits. Read in the snapshot of the counters.
pub(super) const AS_OF: &str = "(SELECT at FROM journal ORDER BY id LIMIT 1) AS as_of";

/// Statements on licenses. [`COLUMNS`] are written by parameters `$1` to `$17`.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) insert_license: SqlStr,
    pub(super) update_license: SqlStr,
    /// Updates only columns without an index. Takes the same parameters.
    pub(super) update_unindexed: SqlStr,
    pub(super) lock_license: SqlStr,
    /// A license with its counters and lists.
    pub(super) license: SqlStr,
    /// The same with the shorter lists of events.
    pub(super) license_of_event: SqlStr,
    pub(super) license_exists: SqlStr,
    pub(super) license_by_key: SqlStr,
    pub(super) insert_activations: SqlStr,
    pub(super) delete_activations: SqlStr,
    pub(super) activation: SqlStr,
    pub(super) activations_of_claim: SqlStr,
    pub(super) domains: SqlStr,
    pub(super) activations: SqlStr,
    pub(super) activations_of_kind: SqlStr,
    pub(super) label_activation: SqlStr,
    pub(super) clear_labels: SqlStr,
    /// Sets the plan of a license on its devices.
    pub(super) move_devices: SqlStr,
    /// The least recently seen devices of the license `$1`, at most `$2`.
    pub(super) least_recently_seen: SqlStr,
    /// The same, of devices last seen before `$3`, which is on the day `$4`.
    pub(super) least_recently_seen_before: SqlStr,
    pub(super) idle: SqlStr,
    pub(super) insert_events: SqlStr,
    pub(super) events: SqlStr,
    /// See [`Dialect::RECORD`].
    pub(super) record: SqlStr,
    /// Whether a validation waits to be compacted.
    pub(super) waiting: SqlStr,
    pub(super) insert_idempotency: SqlStr,
    pub(super) idempotency: SqlStr,
    pub(super) plans_in_use: SqlStr,
    pub(super) insert_setting: SqlStr,
    pub(super) setting: SqlStr,
    pub(super) ping: SqlStr,
    /// Sends `$1` to other nodes when the transaction commits.
    pub(super) notify: Option<SqlStr>,
    detail: String,
}

impl Statements {
    pub(super) fn new<D: Dialect>() -> Self {
        let for_update = D::FOR_UPDATE;
        let detail = |most| detail::<D>(most);
        let items = D::items(1);
        Self {
            insert_license: sql(format!(
                "INSERT INTO licenses ({COLUMNS}) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
                 ON CONFLICT DO NOTHING RETURNING id"
            )),
            update_license: SqlStr::from_static(
                "UPDATE licenses SET key_digest = $2, sealed_key = $3, state = $4, plan = $5, customer_email = $6, \
                 max_domains = $7, max_devices = $8, domains_used = $9, devices_used = $10, created_at = $11, \
                 activated_at = $12, expires_at = $13, metadata = $14, version = $15, last_event = $16, \
                 expiry_notified = $17 WHERE id = $1",
            ),
            update_unindexed: SqlStr::from_static(
                "UPDATE licenses SET sealed_key = $3, max_domains = $7, max_devices = $8, domains_used = $9, \
                 devices_used = $10, created_at = $11, activated_at = $12, metadata = $14, version = $15, \
                 last_event = $16 WHERE id = $1",
            ),
            lock_license: sql(format!("SELECT {COLUMNS} FROM licenses WHERE id = $1{for_update}")),
            license: sql(format!("{} WHERE l.id = $1", detail(limits::LISTED_ACTIVATIONS))),
            license_of_event: sql(format!("{} WHERE l.id = $1", detail(limits::EVENT_ACTIVATIONS))),
            license_exists: SqlStr::from_static("SELECT id FROM licenses WHERE id = $1"),
            license_by_key: sql(format!(
                "SELECT {COLUMNS}, {} AS bindings FROM licenses l WHERE key_digest = $1",
                D::json_rows("kind, value", &bindings::<D>())
            )),
            insert_activations: sql(format!(
                "INSERT INTO activations (license_id, kind, value, id, created_at, label, plan, first_seen_at, seen_at, \
                 seen_day, validations, country) SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, \
                 CAST(value ->> 4 AS BIGINT), value ->> 5, value ->> 6, CAST(value ->> 7 AS BIGINT), \
                 CAST(value ->> 8 AS BIGINT), CAST(value ->> 9 AS BIGINT), CAST(value ->> 10 AS BIGINT), value ->> 11 \
                 FROM {items}"
            )),
            delete_activations: sql(format!(
                "DELETE FROM activations WHERE license_id = $1 AND kind IN ('domain', 'device') AND {}",
                D::is_one_of("id", 2)
            )),
            activation: sql(format!(
                "SELECT {ACTIVATION} FROM activations \
                 WHERE license_id = $1 AND kind IN ('domain', 'device') AND id = $2"
            )),
            activations_of_claim: sql(format!(
                "SELECT {ACTIVATION} FROM activations WHERE license_id = $1 AND kind = 'domain' AND {} \
                 UNION ALL SELECT {ACTIVATION} FROM activations \
                 WHERE license_id = $1 AND kind = 'device' AND value = $3",
                D::is_one_of("value", 2)
            )),
            domains: sql(format!(
                "SELECT {ACTIVATION} FROM activations \
                 WHERE license_id = $1 AND kind = 'domain' ORDER BY id LIMIT {}",
                limits::DOMAINS_PER_REQUEST
            )),
            label_activation: SqlStr::from_static(
                "UPDATE activations SET label = $3 \
                 WHERE license_id = $1 AND kind IN ('domain', 'device') AND id = $2",
            ),
            clear_labels: SqlStr::from_static(
                "UPDATE activations SET label = NULL WHERE license_id = $1 AND label IS NOT NULL",
            ),
            move_devices: SqlStr::from_static(
                "UPDATE activations SET plan = $2 WHERE license_id = $1 AND kind = 'device'",
            ),
            activations: sql(listed_activations(&["domain", "device"])),
            activations_of_kind: sql(listed_activations(&["$4"])),
            least_recently_seen: sql(least_recently_seen("")),
            least_recently_seen_before: sql(least_recently_seen(" AND seen_day <= $4 AND seen_at < $3")),
            idle: SqlStr::from_static(IDLE),
            insert_events: sql(format!("{INSERT_EVENT_ROWS} FROM {items}")),
            events: SqlStr::from_static(
                "SELECT sequence, event_type, at, data FROM events \
                 WHERE license_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3 + 0",
            ),
            record: SqlStr::from_static(D::RECORD),
            waiting: SqlStr::from_static("SELECT id FROM journal LIMIT 1"),
            insert_idempotency: SqlStr::from_static(
                "INSERT INTO idempotency_keys (key, request, license_id, created_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT DO NOTHING RETURNING key",
            ),
            idempotency: SqlStr::from_static(
                "SELECT request, license_id FROM idempotency_keys WHERE key = $1",
            ),
            plans_in_use: SqlStr::from_static("SELECT DISTINCT plan FROM licenses"),
            insert_setting: SqlStr::from_static(
                "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            ),
            setting: SqlStr::from_static("SELECT value FROM settings WHERE name = $1"),
            ping: SqlStr::from_static("SELECT 1"),
            notify: D::NOTIFY.map(SqlStr::from_static),
            detail: detail(limits::LISTED_ACTIVATIONS),
        }
    }

    /// The page of licenses that pass a filter. Only conditions that are asked for stand in the text, so that an index
    /// serves each.
    pub(super) fn licenses<'a>(
        &self,
        filter: &'a LicenseFilter,
        now: i64,
        page: &'a PageRequest<LicenseId>,
    ) -> (SqlStr, Vec<Value<'a>>) {
        let LicenseFilter { status, plan, customer_email } = filter;
        let mut values = vec![Value::from(i64::from(page.limit) + 1)];
        let mut conditions = vec!["1 = 1".to_owned()];
        let mut ask = |condition: &str, value: Value<'a>| {
            values.push(value);
            conditions.push(condition.replace('?', &format!("${}", values.len())));
        };
        match status {
            None => {}
            Some(Status::Suspended) => ask("l.state = ?", LicenseState::Suspended.as_str().into()),
            Some(Status::Revoked) => ask("l.state = ?", LicenseState::Revoked.as_str().into()),
            Some(Status::Active) => {
                ask("l.state = ?", LicenseState::Active.as_str().into());
                ask("(l.expires_at IS NULL OR l.expires_at > ?)", now.into());
            }
            Some(Status::Expired) => {
                ask("l.state = ?", LicenseState::Active.as_str().into());
                ask("l.expires_at <= ?", now.into());
            }
        }
        if let Some(plan) = plan {
            ask("l.plan = ?", plan.as_str().into());
        }
        if let Some(email) = customer_email {
            ask("l.customer_email = ?", email.as_str().into());
        }
        if let Some(after) = &page.after {
            ask("l.id < ?", after.as_str().into());
        }
        let text =
            format!("{} WHERE {} ORDER BY l.id DESC LIMIT $1 + 0", self.detail, conditions.join(" AND "));
        (sql(text), values)
    }
}

/// A license with its counters and at most `most` of its domains and devices each, in one statement and so from one snapshot.
pub(super) fn detail<D: Dialect>(most: u32) -> String {
    let listed = |kind| {
        let select = format!(
            "SELECT id, value, created_at, label FROM activations a WHERE a.license_id = l.id AND a.kind = '{kind}' \
             ORDER BY id LIMIT {most}"
        );
        D::json_rows("id, value, created_at, label", &select)
    };
    let (domains, devices) = (listed("domain"), listed("device"));
    format!(
        "SELECT {COLUMNS}, {COUNTERS}, {AS_OF}, {domains} AS domains, {devices} AS devices FROM {COUNTED_LICENSES}"
    )
}

/// The counters of [`COUNTED_LICENSES`]. A license that was never validated has no row.
pub(super) const COUNTERS: &str = "CAST(COALESCE(c.validation_count, 0) AS BIGINT) AS validation_count, c.last_validated_at AS last_validated_at";
pub(super) const COUNTED_LICENSES: &str = "licenses l LEFT JOIN license_counters c ON c.license_id = l.id";

/// The bindings of the license `l`: all of them up to the limit, otherwise those of the claim in parameters 2 and 3. Each part uses an
/// index, and reads nothing if it does not apply.
fn bindings<D: Dialect>() -> String {
    let (most, named) = (limits::MAX_INLINE_BINDINGS, D::is_one_of("a.value", 2));
    let of = |condition: &str| {
        format!("SELECT kind, value FROM activations a WHERE a.license_id = l.id AND {condition}")
    };
    // The limit keeps planners from scanning: their statistics say that each license has many.
    let few = of(&format!("l.domains_used + l.devices_used <= {most} ORDER BY kind, value LIMIT {most}"));
    let whole = format!("SELECT kind, value FROM ({few}) AS few");
    let many = format!("l.domains_used + l.devices_used > {most}");
    let domains = of(&format!("{many} AND a.kind = 'domain' AND {named}"));
    let device = of(&format!("{many} AND a.kind = 'device' AND a.value = $3"));
    format!("{whole} UNION ALL {domains} UNION ALL {device}")
}

/// Inserts events, from rows of JSON that follow.
pub(super) const INSERT_EVENT_ROWS: &str =
    concat!("INSERT INTO events (license_id, sequence, event_type, at, data) SELECT ", event_items!());
pub(super) const EVENT_ITEMS: &str = event_items!();

/// An event's columns, of such a row.
macro_rules! event_items {
    () => {
        "value ->> 0, CAST(value ->> 1 AS BIGINT), value ->> 2, CAST(value ->> 3 AS BIGINT), value ->> 4"
    };
}
use event_items;

/// Only texts of this file come here; what callers send goes through parameters.
pub(super) fn sql(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}

//! Every text of SQL, once, for all dialects; built when a store is opened.
//!
//! `LIMIT $1 + 0`, never `LIMIT $1`: SQLite plans for the value of a limit that is a parameter, and so prepares the statement anew
//! each time.

use license_core::license::{LicenseId, LicenseState, Status};
use license_core::limits;
use license_core::store::{LicenseFilter, PageRequest};
use license_core::usage::ValidationOutcome;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::dialect::{Dialect, Survives, Value};
use super::seen::{IDLE, listed_activations, unseen};

/// What commands change of a license, in the order of the parameters that write them.
pub(super) const COLUMNS: &str = "id, key_digest, sealed_key, state, plan, customer_email, max_domains, max_devices, \
    domains_used, devices_used, created_at, activated_at, expires_at, metadata, version, last_event, expiry_told";

/// What stands in [`COLUMNS`] is written by parameters `$1` to `$17`.
#[derive(Debug)]
pub(super) struct Statements {
    /// Begins a transaction, as [`Survives`] names what its commit survives.
    pub(super) durable: SqlStr,
    pub(super) quick: SqlStr,
    pub(super) again: SqlStr,
    pub(super) begin_read: SqlStr,
    pub(super) insert_license: SqlStr,
    pub(super) update_license: SqlStr,
    pub(super) lock_license: SqlStr,
    pub(super) license: SqlStr,
    /// As events show it.
    pub(super) shown: SqlStr,
    /// Likewise, with counters as of the last filing.
    pub(super) shown_filed: SqlStr,
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
    pub(super) forget_labels: SqlStr,
    /// Devices that were not seen for the longest: at most `$2`, of the license `$1`.
    pub(super) unseen: SqlStr,
    /// Likewise, of those last seen before `$3`, on the day `$4`.
    pub(super) unseen_before: SqlStr,
    pub(super) idle: SqlStr,
    pub(super) insert_events: SqlStr,
    pub(super) events: SqlStr,
    /// Records a batch, all of it in one round trip. See [`Dialect::RECORD`].
    pub(super) record: SqlStr,
    pub(super) unknown_license: SqlStr,
    pub(super) insert_idempotency: SqlStr,
    pub(super) idempotency: SqlStr,
    pub(super) plans_in_use: SqlStr,
    pub(super) insert_kept: SqlStr,
    pub(super) kept: SqlStr,
    pub(super) ping: SqlStr,
    /// Tells other nodes of a change, `$1`, within the commit.
    pub(super) notify: Option<SqlStr>,
    detail: String,
}

impl Statements {
    pub(super) fn new<D: Dialect>(dialect: &D) -> Self {
        let for_update = D::FOR_UPDATE;
        let listed = |counted| detail::<D>(limits::LISTED_ACTIVATIONS, counted);
        let shown = |counted| detail::<D>(limits::EVENT_ACTIVATIONS, counted);
        let items = D::items(1);
        Self {
            durable: dialect.begin_write(Survives::PowerCut),
            quick: dialect.begin_write(Survives::Kill),
            again: dialect.begin_write(Survives::KillOrAgain),
            begin_read: dialect.begin_read(),
            insert_license: sql(format!(
                "INSERT INTO licenses ({COLUMNS}) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
                 ON CONFLICT DO NOTHING RETURNING id"
            )),
            update_license: SqlStr::from_static(
                "UPDATE licenses SET key_digest = $2, sealed_key = $3, state = $4, plan = $5, customer_email = $6, \
                 max_domains = $7, max_devices = $8, domains_used = $9, devices_used = $10, created_at = $11, \
                 activated_at = $12, expires_at = $13, metadata = $14, version = $15, last_event = $16, \
                 expiry_told = $17 WHERE id = $1",
            ),
            lock_license: sql(format!("SELECT {COLUMNS} FROM licenses WHERE id = $1{for_update}")),
            license: sql(format!("{} WHERE l.id = $1", listed(Counted::One))),
            shown: sql(format!("{} WHERE l.id = $1", shown(Counted::One))),
            shown_filed: sql(format!("{} WHERE l.id = $1", shown(Counted::Filed))),
            license_exists: SqlStr::from_static("SELECT id FROM licenses WHERE id = $1"),
            license_by_key: sql(format!(
                "SELECT {COLUMNS}, COALESCE(l.bindings, {}) AS bindings FROM licenses l WHERE key_digest = $1",
                D::json_rows("kind, value", &bindings::<D>())
            )),
            insert_activations: sql(format!(
                "INSERT INTO activations (license_id, id, kind, value, created_at, label) \
                 SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, CAST(value ->> 4 AS BIGINT), value ->> 5 FROM {items}"
            )),
            delete_activations: sql(format!(
                "DELETE FROM activations WHERE license_id = $1 AND {}",
                D::is_one_of("id", 2)
            )),
            activation: SqlStr::from_static(
                "SELECT id, kind, value, created_at, label FROM activations WHERE license_id = $1 AND id = $2",
            ),
            activations_of_claim: sql(format!(
                "SELECT id, kind, value, created_at, label FROM activations \
                 WHERE license_id = $1 AND kind = 'domain' AND {} \
                 UNION ALL SELECT id, kind, value, created_at, label FROM activations \
                 WHERE license_id = $1 AND kind = 'device' AND value = $3",
                D::is_one_of("value", 2)
            )),
            domains: sql(format!(
                "SELECT id, kind, value, created_at, label FROM activations \
                 WHERE license_id = $1 AND kind = 'domain' ORDER BY id LIMIT {}",
                limits::DOMAINS_PER_REQUEST
            )),
            label_activation: SqlStr::from_static(
                "UPDATE activations SET label = $3 WHERE license_id = $1 AND id = $2",
            ),
            forget_labels: SqlStr::from_static(
                "UPDATE activations SET label = NULL WHERE license_id = $1 AND label IS NOT NULL",
            ),
            activations: sql(listed_activations::<D>("")),
            activations_of_kind: sql(listed_activations::<D>(" AND kind = $4")),
            unseen: sql(unseen::<D>(false)),
            unseen_before: sql(unseen::<D>(true)),
            idle: SqlStr::from_static(IDLE),
            insert_events: sql(format!("{INSERT_EVENT_ROWS} FROM {items}")),
            events: SqlStr::from_static(
                "SELECT sequence, event_type, at, data FROM events \
                 WHERE license_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3 + 0",
            ),
            record: SqlStr::from_static(D::RECORD),
            unknown_license: sql(format!(
                "SELECT value ->> 0 AS id FROM {items} \
                 WHERE NOT EXISTS (SELECT 1 FROM licenses WHERE licenses.id = value ->> 0) LIMIT 1"
            )),
            insert_idempotency: SqlStr::from_static(
                "INSERT INTO idempotency_keys (key, request, license_id, created_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT DO NOTHING RETURNING key",
            ),
            idempotency: SqlStr::from_static(
                "SELECT request, license_id FROM idempotency_keys WHERE key = $1",
            ),
            plans_in_use: SqlStr::from_static("SELECT DISTINCT plan FROM licenses"),
            insert_kept: SqlStr::from_static(
                "INSERT INTO kept (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            ),
            kept: SqlStr::from_static("SELECT value FROM kept WHERE name = $1"),
            ping: SqlStr::from_static("SELECT 1"),
            notify: D::NOTIFY.map(SqlStr::from_static),
            detail: listed(Counted::All),
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

/// What a license is shown to have counted.
#[derive(Clone, Copy)]
pub(super) enum Counted {
    /// What is filed.
    Filed,
    /// All, where the statement is of the license `$1`.
    One,
    /// All, of many licenses: what is not filed yet is gone through once.
    All,
}

/// The condition on `unfiled` that it is of the license in parameter `n`. Batches that do not hold its id are not read.
pub(super) fn unfiled_of<D: Dialect>(n: u8) -> String {
    format!("{}(batch, ${n}) > 0 AND license_id = ${n}", D::FIND)
}

/// A license with its counters and lists, in one statement and so at one moment.
pub(super) fn detail<D: Dialect>(most: u32, counted: Counted) -> String {
    let listed = |kind| {
        let select = format!(
            "SELECT id, value, created_at, label FROM activations a WHERE a.license_id = l.id AND a.kind = '{kind}' \
             ORDER BY id LIMIT {most}"
        );
        D::json_rows("id, value, created_at, label", &select)
    };
    let (domains, devices) = (listed("domain"), listed("device"));
    let of = match counted {
        Counted::Filed => {
            return format!(
                "SELECT {COLUMNS}, validation_count, last_validated_at, {domains} AS domains, {devices} AS devices \
                 FROM licenses l"
            );
        }
        Counted::One => format!("{} AND ", unfiled_of::<D>(1)),
        Counted::All => String::new(),
    };
    let valid = ValidationOutcome::Valid;
    format!(
        "WITH counted AS MATERIALIZED (SELECT license_id, COUNT(*) AS n, MAX(at) AS latest FROM unfiled \
         WHERE {of}outcome = '{valid}' GROUP BY license_id) \
         SELECT {COLUMNS}, validation_count + COALESCE(counted.n, 0) AS validation_count, \
         CASE WHEN last_validated_at > counted.latest THEN last_validated_at \
         ELSE COALESCE(counted.latest, last_validated_at) END AS last_validated_at, \
         {domains} AS domains, {devices} AS devices \
         FROM licenses l LEFT JOIN counted ON counted.license_id = l.id"
    )
}

/// The bindings of the license `l` where they do not stand beside it: all where it is read whole, else those of the claim in parameters
/// 2 and 3. Each part is of an index, and reads nothing where it does not apply.
fn bindings<D: Dialect>() -> String {
    let (most, named) = (limits::MAX_INLINE_BINDINGS, D::is_one_of("a.value", 2));
    let of = |condition: &str| {
        format!("SELECT kind, value FROM activations a WHERE a.license_id = l.id AND {condition}")
    };
    // Ordered and limited, so that no planner thinks of reading the table: it takes each license to have many.
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

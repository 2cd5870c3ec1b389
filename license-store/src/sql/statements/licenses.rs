//! SQL on licenses.

use license_core::license::{CustomerEmail, LicenseId, LicenseState, Status};
use license_core::limits;
use license_core::store::{LicenseFilter, LicenseQuery};
use sqlx::SqlStr;

use super::fragments::AS_OF;
use super::license_columns::{self, Indexed};
use super::list_query::ListQuery;
use crate::sql::dialect::{Dialect, Value};

/// The counters of [`COUNTED_LICENSES`]. A license that was never validated has no row.
pub(crate) const COUNTERS: &str = "CAST(COALESCE(c.validation_count, 0) AS BIGINT) AS validation_count, c.last_validated_at AS last_validated_at";
pub(crate) const COUNTED_LICENSES: &str = "licenses l LEFT JOIN license_counters c ON c.license_id = l.id";

statements! {
    LicenseStatements {
        // The condition tells SQLite that `ON CONFLICT` does not belong to a join.
        insert: format!(
            "INSERT INTO licenses ({columns}) \
             SELECT {} FROM {} WHERE 1 = 1 ON CONFLICT DO NOTHING RETURNING id",
            license_columns::of_json_row(D::unhex),
            D::items(1)
        ),
        update: format!("UPDATE licenses SET {} WHERE id = $1", license_columns::assignments(|_| true)),
        /// Updates only columns without an index. Takes the same parameters.
        update_unindexed: format!(
            "UPDATE licenses SET {} WHERE id = $1",
            license_columns::assignments(|column| column.indexed == Indexed::No)
        ),
        /// As `update_unindexed`, and columns with an index that change with the slots.
        update_slots: format!(
            "UPDATE licenses SET {} WHERE id = $1",
            license_columns::assignments(|column| column.indexed <= Indexed::BySlots)
        ),
        /// The license with the external id `$1`.
        find_by_external_id: "SELECT id FROM licenses WHERE external_id = $1",
        lock: format!("SELECT {columns} FROM licenses WHERE id = $1{for_update}"),
        /// A license with its counters and activations.
        detail: format!("{detail} WHERE l.id = $1"),
        /// As `detail`, with the shorter lists of activations that events have.
        event_detail: format!("{} WHERE l.id = $1", self::detail::<D>(limits::EVENT_ACTIVATIONS)),
        exists: "SELECT id FROM licenses WHERE id = $1",
        find_by_key: format!(
            "SELECT {columns}, {} AS bindings FROM licenses l WHERE key_digest = $1",
            D::json_rows("kind, value", &bindings::<D>())
        ),
        /// Counts licenses by plan and state, and those whose term has ended at `$1`.
        count: "SELECT plan, state, COUNT(*) AS n, COUNT(CASE WHEN expires_at <= $1 THEN 1 END) AS ended \
                FROM licenses GROUP BY plan, state",
        list: format!("{detail} WHERE 1 = 1"),
    } where {
        let columns = license_columns::names();
        let for_update = D::FOR_UPDATE;
        let detail = detail::<D>(limits::LISTED_ACTIVATIONS);
    }
}

impl LicenseStatements {
    /// A page of the licenses that match a filter, newest first.
    pub(crate) fn list<'a>(&self, query: &'a LicenseQuery) -> (SqlStr, Vec<Value<'a>>) {
        let LicenseQuery { filter: LicenseFilter { status, plan, customer_email }, at, page } = query;
        let state = status.map(|status| match status {
            Status::Active | Status::Expired => LicenseState::Active,
            Status::Suspended => LicenseState::Suspended,
            Status::Revoked => LicenseState::Revoked,
        });
        let now_if = |wanted| (*status == Some(wanted)).then_some(at.timestamp_micros());
        let mut list = ListQuery::new(page.limit);
        list.filter("l.state = ?", state.map(LicenseState::as_str));
        list.filter("(l.expires_at IS NULL OR l.expires_at > ?)", now_if(Status::Active));
        list.filter("l.expires_at <= ?", now_if(Status::Expired));
        list.filter("l.plan = ?", plan.as_deref());
        list.filter("l.customer_email = ?", customer_email.as_ref().map(CustomerEmail::as_str));
        list.filter("l.id < ?", page.after.as_ref().map(LicenseId::as_str));
        list.build(self.list.as_str(), "l.id DESC")
    }
}

/// Selects a license with its counters and at most `limit` of its domains and devices each, in one statement
/// and so from one snapshot.
pub(crate) fn detail<D: Dialect>(limit: u32) -> String {
    format!("SELECT {} FROM {COUNTED_LICENSES}", detail_columns::<D>(limit))
}

/// The columns of [`detail`], of the license `l` and its counters `c`.
pub(crate) fn detail_columns<D: Dialect>(limit: u32) -> String {
    let listed = |kind| {
        let select = format!(
            "SELECT id, value, created_at, label, held_until, is_returned FROM activations a WHERE a.license_id = l.id AND a.kind = '{kind}' \
             ORDER BY id LIMIT {limit}"
        );
        D::json_rows("id, value, created_at, label, held_until, is_returned", &select)
    };
    let (columns, domains, devices) = (license_columns::names(), listed("domain"), listed("device"));
    format!("{columns}, {COUNTERS}, {AS_OF}, {domains} AS domains, {devices} AS devices")
}

/// Selects the bindings of the license `l`: all of them up to the inline limit, otherwise those of the claim
/// in parameters 2 and 3. Each part uses an index, and reads nothing if it does not apply.
fn bindings<D: Dialect>() -> String {
    let (limit, is_named) = (limits::MAX_INLINE_BINDINGS, D::is_one_of("a.value", 2));
    let of = |condition: &str| {
        format!("SELECT kind, value FROM activations a WHERE a.license_id = l.id AND {condition}")
    };
    // Without the limit, planners scan, because their statistics show many activations per license.
    let few = of(&format!("l.domains_used + l.devices_used <= {limit} ORDER BY kind, value LIMIT {limit}"));
    let inline = format!("SELECT kind, value FROM ({few}) AS few");
    let many = format!("l.domains_used + l.devices_used > {limit}");
    let domains = of(&format!("{many} AND a.kind = 'domain' AND {is_named}"));
    let device = of(&format!("{many} AND a.kind = 'device' AND a.value = $3"));
    format!("{inline} UNION ALL {domains} UNION ALL {device}")
}

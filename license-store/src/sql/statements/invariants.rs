//! SQL that finds rows which contradict each other.
//!
//! Each statement returns the rows `(subject, problem)` of one kind of fault. They read tables in the order
//! of an index, so that they need no memory in proportion to the database.

use license_core::usage::ValidationOutcome;
use sqlx::SqlStr;

use super::fragments::sql;
use crate::sql::dialect::Dialect;
use crate::sql::rows::NEVER;

/// A rule between tables.
pub(crate) struct Invariant {
    /// Short name.
    pub(crate) name: &'static str,
    /// The rule, as a sentence.
    pub(crate) rule: &'static str,
    /// At most [`EXAMPLES`] faults, each with the number of all. Parameter 1 of [`OPEN_LEASES`] is a time.
    pub(crate) faults: SqlStr,
}

/// The invariant that depends on the time.
pub(crate) const OPEN_LEASES: &str = "open_leases";
/// Faults of one kind that are named. The others are counted.
pub(crate) const EXAMPLES: usize = 3;

/// Tables with the id of a license in each row. No license is ever deleted.
const OF_LICENSES: [&str; 10] = [
    "activations",
    "leases",
    "license_counters",
    "license_metadata",
    "former_customers",
    "rollups",
    "pruned_usage",
    "absent_events",
    "anomaly_candidates",
    "event_throttles",
];
/// Tables of one row.
const SINGLE_ROWS: [&str; 5] = ["clock", "retention", "position_counter", "catalog", "signing_key_set"];

/// The day from which `validations` and `rollups` are complete: retention deletes older ones, and imports add
/// rollups of older days.
const FIRST_WHOLE_DAY: &str = "(SELECT COALESCE(MAX(CASE WHEN rollups_from > records_from / 86400000000 \
    THEN rollups_from ELSE COALESCE(records_from / 86400000000, rollups_from) END), -999999999) FROM retention)";

/// Returns all invariants.
pub(crate) fn invariants<D: Dialect>() -> Vec<Invariant> {
    let mut all = of_licenses();
    all.extend(of_usage::<D>());
    all.extend(of_events());
    all.extend(of_others());
    all
}

fn invariant(name: &'static str, rule: &'static str, faults: &str) -> Invariant {
    let faults = sql(format!(
        "SELECT subject, problem, COUNT(*) OVER () AS faults FROM ({faults}) AS found ORDER BY subject, problem \
         LIMIT {EXAMPLES}"
    ));
    Invariant { name, rule, faults }
}

fn of_licenses() -> Vec<Invariant> {
    let slots = |kind: &str| {
        let used =
            format!("(SELECT COUNT(*) FROM activations a WHERE a.license_id = l.id AND a.kind = '{kind}')");
        format!(
            "SELECT id AS subject, '{kind}s_used is ' || used || ', but it has ' || CAST(present AS TEXT) || ' {kind}s' \
             AS problem FROM (SELECT l.id, l.{kind}s_used AS used, {used} AS present FROM licenses l) AS slots \
             WHERE used <> present"
        )
    };
    let is_full = |kind: &str| {
        format!("(max_{kind}s IS NOT NULL AND {kind}s_used > 0 AND {kind}s_used >= max_{kind}s)")
    };
    vec![
        invariant(
            "slots",
            "a license has as many used slots as activations",
            &format!("{} UNION ALL {}", slots("domain"), slots("device")),
        ),
        invariant(
            "derived_columns",
            "columns for searches repeat what the license has",
            &format!(
                "SELECT id AS subject, 'ends_at is not its expires_at' AS problem FROM licenses \
                 WHERE ends_at <> COALESCE(expires_at, {NEVER}) \
                 UNION ALL SELECT id, 'at_limit is not whether its slots are used up' FROM licenses \
                 WHERE at_limit <> CASE WHEN {} OR {} THEN 1 ELSE 0 END \
                 UNION ALL SELECT id, 'customer_domain is not the host of its customer_email' FROM licenses \
                 WHERE (customer_email IS NULL) <> (customer_domain IS NULL) \
                 UNION ALL SELECT l.id, 'the plan of device ' || a.id || ' is not that of the license' \
                 FROM activations a JOIN licenses l ON l.id = a.license_id WHERE a.kind = 'device' AND \
                 COALESCE(a.plan, '') <> CASE WHEN l.state = 'revoked' THEN '' ELSE l.plan || '@' || l.plan_version END",
                is_full("domain"),
                is_full("device")
            ),
        ),
        invariant(
            "licenses_exist",
            "activations, leases, counters, usage and metadata belong to a license",
            &OF_LICENSES
                .map(|table| {
                    format!(
                        "SELECT license_id AS subject, '{table} has rows of it, but there is no such license' AS problem \
                         FROM (SELECT DISTINCT license_id FROM {table} WHERE NOT EXISTS \
                         (SELECT 1 FROM licenses WHERE licenses.id = {table}.license_id)) AS {table}_without"
                    )
                })
                .join(" UNION ALL "),
        ),
        invariant(
            "plans",
            "the plan version of a license exists, and versions have no gaps",
            "SELECT id AS subject, 'its plan ' || plan || ' has no version ' || plan_version AS problem FROM licenses \
             WHERE EXISTS (SELECT 1 FROM plans) AND NOT EXISTS (SELECT 1 FROM plan_versions v \
             WHERE v.plan = licenses.plan AND v.version = licenses.plan_version) \
             UNION ALL SELECT plan, 'a version of the plan is missing' FROM plan_versions \
             GROUP BY plan HAVING COUNT(*) <> MAX(version) \
             UNION ALL SELECT name, 'the plan has no version' FROM plans WHERE NOT EXISTS \
             (SELECT 1 FROM plan_versions WHERE plan_versions.plan = plans.name)",
        ),
        invariant(
            "leases",
            "no lease ends after the leased_until of its license",
            "SELECT leases.id AS subject, 'it ends after the leased_until of its license' AS problem FROM leases \
             JOIN licenses ON licenses.id = leases.license_id \
             WHERE leases.expires_at > COALESCE(licenses.leased_until, 0)",
        ),
        invariant(
            OPEN_LEASES,
            "the device of an open lease has a slot, held until the lease ends",
            "SELECT leases.id AS subject, 'no device holds its slot until the lease ends' AS problem FROM leases \
             WHERE ended_by IS NULL AND expires_at > $1 AND NOT EXISTS (SELECT 1 FROM activations a \
             WHERE a.license_id = leases.license_id AND a.kind = 'device' AND a.id = leases.device_id \
             AND a.held_until >= leases.expires_at)",
        ),
    ]
}

fn of_usage<D: Dialect>() -> Vec<Invariant> {
    let sums = format!(
        "SELECT day, license_id, outcome, CAST(SUM(count) AS BIGINT) AS counted FROM rollups \
         WHERE day >= {FIRST_WHOLE_DAY} GROUP BY day, license_id, outcome"
    );
    let stored = "(SELECT COUNT(*) FROM validations v WHERE v.day = r.day AND v.license_id = r.license_id \
        AND v.outcome = r.outcome)";
    let mut all = vec![
        invariant(
            "history",
            "the history has the validations that the rollups count, on days that retention and imports left whole",
            &format!(
                "SELECT license_id AS subject, 'on day ' || day || ' (since 1970) it has ' || CAST(stored AS TEXT) || \
                 ' validations with outcome ' || outcome || ', but rollups count ' || CAST(counted AS TEXT) AS problem FROM \
                 (SELECT r.day, r.license_id, r.outcome, r.counted, {stored} AS stored FROM ({sums}) AS r) AS compared \
                 WHERE stored <> counted UNION ALL \
                 SELECT license_id, 'on day ' || day || ' (since 1970) it has validations that no rollup counts' FROM \
                 (SELECT DISTINCT day, license_id FROM validations v WHERE day >= {FIRST_WHOLE_DAY} AND NOT EXISTS \
                 (SELECT 1 FROM rollups r WHERE r.day = v.day AND r.license_id = v.license_id AND r.outcome = v.outcome)) \
                 AS uncounted"
            ),
        ),
        invariant(
            "counters",
            "a counter is not below the valid validations of the rollups that were recorded here",
            &format!(
                "SELECT r.license_id AS subject, 'validation_count is ' || CAST(COALESCE(c.validation_count, 0) AS TEXT) || \
                 ', but rollups count ' || CAST(r.counted AS TEXT) AS problem FROM \
                 (SELECT license_id, SUM(count) AS counted, MAX(last_at) AS last_at FROM rollups \
                 WHERE outcome = '{}' AND day >= {FIRST_WHOLE_DAY} GROUP BY license_id) AS r \
                 LEFT JOIN license_counters c ON c.license_id = r.license_id \
                 WHERE COALESCE(c.validation_count, 0) < r.counted OR COALESCE(c.last_validated_at, r.last_at - 1) < r.last_at \
                 UNION ALL SELECT license_id, 'last_validated_day is not the day of last_validated_at' \
                 FROM license_counters WHERE last_validated_day <> {}",
                ValidationOutcome::Valid,
                super::fragments::day("last_validated_at")
            ),
        ),
    ];
    if D::SINGLE_WRITER {
        all.push(invariant(
            "compaction",
            "the rows of the journal that are being compacted exist",
            "SELECT 'compaction' AS subject, 'journal row ' || last || ' is missing' AS problem FROM compaction \
             WHERE last <> 0 AND NOT EXISTS (SELECT 1 FROM journal WHERE journal.id = compaction.last)",
        ));
    }
    all
}

fn of_events() -> Vec<Invariant> {
    vec![
        invariant(
            "events",
            "the events of a license are numbered without gaps up to its last_event",
            "SELECT id AS subject, 'it has had ' || last_event || ' events, of which ' || CAST(present AS TEXT) || \
             ' are present and ' || CAST(absent AS TEXT) || ' were pruned or not imported' AS problem FROM \
             (SELECT l.id, l.last_event, (SELECT COUNT(*) FROM events e WHERE e.license_id = l.id \
             AND e.sequence >= 1 AND e.sequence <= l.last_event) AS present, \
             COALESCE((SELECT count FROM absent_events a WHERE a.license_id = l.id), 0) AS absent FROM licenses l) AS numbered \
             WHERE present + absent <> last_event \
             UNION ALL SELECT e.license_id, 'event ' || e.sequence || ' is past its last_event' FROM events e \
             JOIN licenses l ON l.id = e.license_id WHERE e.sequence > l.last_event \
             UNION ALL SELECT e.license_id, 'event ' || e.sequence || ' belongs to no license' FROM events e \
             WHERE substr(e.license_id, 1, 4) <> 'whe_' AND NOT EXISTS (SELECT 1 FROM licenses l WHERE l.id = e.license_id)",
        ),
        invariant(
            "positions",
            "positions of events are unique, assigned, and follow the order of each license",
            "SELECT license_id AS subject, 'position ' || position || ' is not one of those that were assigned' AS problem \
             FROM events WHERE position < 1 OR position > (SELECT last_position FROM position_counter) \
             UNION ALL SELECT MIN(license_id), 'another event has position ' || position || ' too' FROM events \
             WHERE position IS NOT NULL GROUP BY position HAVING COUNT(*) > 1 \
             UNION ALL SELECT license_id, 'event ' || sequence || ' has no higher position than the one before' FROM \
             (SELECT license_id, sequence, position, LAG(position) OVER (PARTITION BY license_id ORDER BY sequence) \
             AS before FROM events WHERE position IS NOT NULL) AS ordered WHERE position <= before",
        ),
        invariant(
            "deliveries",
            "a delivery has its endpoint and its event",
            "SELECT endpoint_id AS subject, 'the delivery of position ' || position || ' has no endpoint' AS problem \
             FROM deliveries d WHERE NOT EXISTS (SELECT 1 FROM endpoints WHERE endpoints.id = d.endpoint_id) \
             UNION ALL SELECT endpoint_id, 'the event at position ' || position || ' is not that of the delivery' \
             FROM deliveries d WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.position = d.position \
             AND e.license_id = d.license_id AND e.sequence = d.sequence)",
        ),
    ]
}

fn of_others() -> Vec<Invariant> {
    vec![
        invariant(
            "sessions",
            "a session or link has its token, and is revoked with it",
            "SELECT id AS subject, 'its token ' || parent_id || ' does not exist' AS problem FROM tokens child \
             WHERE parent_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tokens parent WHERE parent.id = child.parent_id) \
             UNION ALL SELECT child.id, 'it is not revoked, but its token ' || parent.id || ' is' FROM tokens child \
             JOIN tokens parent ON parent.id = child.parent_id \
             WHERE parent.revoked_at IS NOT NULL AND child.revoked_at IS NULL",
        ),
        invariant(
            "idempotency_keys",
            "a used idempotency key names an event of a license",
            "SELECT k.license_id AS subject, 'an idempotency key names its event ' || k.sequence || ', which does not exist' \
             AS problem FROM idempotency_keys k WHERE substr(k.license_id, 1, 4) <> 'whe_' AND NOT EXISTS \
             (SELECT 1 FROM licenses l WHERE l.id = k.license_id AND k.sequence <= l.last_event)",
        ),
        invariant(
            "bulk_jobs",
            "the licenses of a bulk job have their job",
            "SELECT job_id AS subject, 'it has licenses, but there is no such job' AS problem FROM \
             (SELECT DISTINCT job_id FROM bulk_job_licenses b WHERE NOT EXISTS \
             (SELECT 1 FROM bulk_jobs WHERE bulk_jobs.id = b.job_id)) AS jobless",
        ),
        invariant(
            "signing_keys",
            "at most one signing key is active",
            "SELECT MIN(id) AS subject, 'another signing key is active too' AS problem FROM signing_keys \
             WHERE state = 'active' HAVING COUNT(*) > 1",
        ),
        invariant(
            "single_rows",
            "tables of one row have one",
            &SINGLE_ROWS
                .map(|table| {
                    format!(
                        "SELECT '{table}' AS subject, 'it has ' || CAST(rows_of AS TEXT) || ' rows instead of one' AS problem \
                         FROM (SELECT COUNT(*) AS rows_of FROM {table}) AS {table}_rows WHERE rows_of <> 1"
                    )
                })
                .join(" UNION ALL "),
        ),
    ]
}

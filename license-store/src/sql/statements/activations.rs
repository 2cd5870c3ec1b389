//! SQL on activations, and on when they were last seen.

use license_core::limits;

use super::fragments::AS_OF;

/// The columns that a decision reads.
const ACTIVATION: &str = "id, kind, value, created_at, label, held_until, is_returned";

/// Whether the name is a wildcard: it begins with `*.`.
const IS_WILDCARD: &str = "value >= '*.' AND value < '*/'";

/// An activation with its last use. Before the first validation, `last_seen_at` is the time of the
/// activation.
const DETAIL: &str = "id, kind, value, created_at, label, held_until, is_returned, first_seen_at, \
    CASE WHEN validations > 0 THEN last_seen_at END AS last_validated_at, validations, country";

statements! {
    /// Statements on the activations of the license `$1`.
    ActivationStatements {
        insert: format!(
            "INSERT INTO activations (license_id, kind, value, id, created_at, label, plan, first_seen_at, last_seen_at, \
             last_seen_day, validations, country, held_until, is_returned) SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, #4, \
             value ->> 5, value ->> 6, #7, #8, #9, #10, value ->> 11, #12, #13 FROM {}",
            D::items(1)
        ),
        delete: format!(
            "DELETE FROM activations WHERE license_id = $1 AND kind IN ('domain', 'device') AND {}",
            D::is_one_of("id", 2)
        ),
        get: format!(
            "SELECT {ACTIVATION} FROM activations \
             WHERE license_id = $1 AND kind IN ('domain', 'device') AND id = $2"
        ),
        /// Those of the domains `$2` and the device `$3`.
        of_claim: format!(
            "SELECT {ACTIVATION} FROM activations WHERE license_id = $1 AND kind = 'domain' AND {} \
             UNION ALL SELECT {ACTIVATION} FROM activations \
             WHERE license_id = $1 AND kind = 'device' AND value = $3",
            D::is_one_of("value", 2)
        ),
        domains: format!(
            "SELECT {ACTIVATION} FROM activations \
             WHERE license_id = $1 AND kind = 'domain' ORDER BY id LIMIT {}",
            limits::DOMAINS_PER_REQUEST
        ),
        wildcards: format!(
            "SELECT {ACTIVATION} FROM activations \
             WHERE license_id = $1 AND kind = 'domain' AND {IS_WILDCARD} ORDER BY id"
        ),
        /// The device of the lease `$2`, and the domains of all leases of that device.
        of_lease: format!(
            "SELECT {ACTIVATION} FROM activations WHERE license_id = $1 AND kind IN ('domain', 'device') AND id IN \
             (SELECT device_id FROM leases WHERE license_id = $1 AND id = $2 UNION SELECT domain_id FROM leases \
             WHERE license_id = $1 AND domain_id IS NOT NULL \
             AND device_id = (SELECT device_id FROM leases WHERE license_id = $1 AND id = $2)) ORDER BY id"
        ),
        /// Devices whose leases were handed back and are over at `$2`.
        returned: format!(
            "SELECT {ACTIVATION} FROM activations WHERE license_id = $1 AND kind = 'device' \
             AND held_until <= $2 AND is_returned = 1 ORDER BY id LIMIT {}",
            limits::RELEASED_AT_ONCE
        ),
        /// Holds the slot of the activation `$2` until `$3`.
        hold:
            "UPDATE activations SET held_until = $3, is_returned = $4 \
             WHERE license_id = $1 AND kind IN ('domain', 'device') AND id = $2",
        delete_devices: "DELETE FROM activations WHERE license_id = $1 AND kind = 'device'",
        /// Deletes all domains except wildcards.
        delete_hosts: format!(
            "DELETE FROM activations WHERE license_id = $1 AND kind = 'domain' AND NOT ({IS_WILDCARD})"
        ),
        /// A page after the id `$2`, at most `$3`.
        list: list(&["'domain'", "'device'"]),
        /// As `list`, of the kind `$4`.
        list_of_kind: list(&["$4"]),
        set_label:
            "UPDATE activations SET label = $3 \
             WHERE license_id = $1 AND kind IN ('domain', 'device') AND id = $2",
        clear_labels: "UPDATE activations SET label = NULL WHERE license_id = $1 AND label IS NOT NULL",
        /// Sets the plan of all devices.
        set_plan: "UPDATE activations SET plan = $2 WHERE license_id = $1 AND kind = 'device'",
        /// The least recently seen devices, at most `$2`, whose slots no lease holds at `$3`.
        least_recently_seen: least_recently_seen(3, ""),
        /// As `least_recently_seen`, of devices last seen before `$3`, which is on the day `$4`, at `$5`.
        least_recently_seen_before: least_recently_seen(
            5,
            " AND last_seen_day <= $4 AND last_seen_at < $3",
        ),
        /// Licenses of the plan `$1` with devices that may be idle, ordered by the day of their last use.
        idle:
            "SELECT license_id FROM activations WHERE kind = 'device' AND plan IS NOT NULL \
             AND plan = $1 AND last_seen_day <= $2 AND last_seen_at < $3 \
             AND (held_until IS NULL OR held_until <= $5) ORDER BY last_seen_day LIMIT $4 + 0",
    }
}

/// A page of the activations of a license. Each kind is looked up separately: the index has the kind before
/// the id.
fn list(kinds: &[&str]) -> String {
    let page = |kind: &&str| {
        format!(
            "SELECT * FROM (SELECT {DETAIL} FROM activations WHERE license_id = $1 AND kind = {kind} AND id > $2 \
             ORDER BY id LIMIT $3 + 0) AS page"
        )
    };
    let pages = kinds.iter().map(page).collect::<Vec<_>>().join(" UNION ALL ");
    format!("SELECT *, {AS_OF} FROM ({pages}) AS pages ORDER BY id LIMIT $3 + 0")
}

/// A page of the activations of all licenses, after the license `$1` and the id `$2`, at most `$3`.
pub(crate) fn list_all() -> String {
    format!(
        "SELECT license_id, {DETAIL}, {AS_OF} FROM activations WHERE license_id >= $1 AND (license_id, id) > ($1, $2) \
         ORDER BY license_id, id LIMIT $3 + 0"
    )
}

fn least_recently_seen(now: u8, condition: &str) -> String {
    format!(
        "SELECT {ACTIVATION}, last_seen_at FROM activations WHERE license_id = $1 AND kind = 'device'{condition} \
         AND (held_until IS NULL OR held_until <= ${now}) ORDER BY last_seen_day, last_seen_at, value LIMIT $2 + 0"
    )
}

//! SQL on when activations were last seen.

/// Licenses with devices that may be idle, the least recently seen first, to the day.
pub(super) const IDLE: &str = "SELECT license_id FROM activations WHERE kind = 'device' AND plan IS NOT NULL \
    AND plan = $1 AND seen_day <= $2 AND seen_at < $3 ORDER BY seen_day LIMIT $4 + 0";

/// What is shown of an activation, with what validations say of it.
const DETAIL: &str = "id, kind, value, created_at, label, first_seen_at, \
    CASE WHEN validations > 0 THEN seen_at END AS last_seen_at, validations, country";

/// A page of the activations of the license `$1` after the id `$2`, at most `$3`, of the kinds named.
pub(super) fn listed_activations(kinds: &[&str]) -> String {
    // One look-up for each kind: the index has the kind before the id.
    let page = |kind: &&str| {
        let kind = if kind.starts_with('$') { (*kind).to_owned() } else { format!("'{kind}'") };
        format!(
            "SELECT * FROM (SELECT {DETAIL} FROM activations WHERE license_id = $1 AND kind = {kind} AND id > $2 \
             ORDER BY id LIMIT $3 + 0) AS page"
        )
    };
    let pages = kinds.iter().map(page).collect::<Vec<_>>().join(" UNION ALL ");
    format!("SELECT *, {} FROM ({pages}) AS pages ORDER BY id LIMIT $3 + 0", super::statements::AS_OF)
}

/// A page of the activations of all licenses, after the license `$1` and the id `$2`, at most `$3`.
pub(super) fn all_activations() -> String {
    format!(
        "SELECT license_id, {DETAIL}, {} FROM activations WHERE license_id >= $1 AND (license_id, id) > ($1, $2) \
         ORDER BY license_id, id LIMIT $3 + 0",
        super::statements::AS_OF
    )
}

/// The least recently seen devices of a license.
pub(super) fn least_recently_seen(condition: &str) -> String {
    format!(
        "SELECT id, kind, value, created_at, label, seen_at FROM activations \
         WHERE license_id = $1 AND kind = 'device'{condition} ORDER BY seen_day, seen_at, value LIMIT $2 + 0"
    )
}

//! The texts of SQL that tell when what holds a slot was seen: by what is filed, and by what is recorded since.

use super::dialect::Dialect;
use super::statements::unfiled_of;

/// Licenses with devices that may be idle. A part of an index; what was recorded since is left out of account.
pub(super) const IDLE: &str = "SELECT license_id FROM activation_usage WHERE kind = 'device' AND plan IS NOT NULL \
    AND plan = $1 AND seen_day <= $2 AND seen_at < $3 ORDER BY seen_day LIMIT $4 + 0";

/// What is recorded of valid validations and not filed, by what they were for: of the license `$1`, or of all. Gone through once.
fn fresh(of: &str) -> String {
    format!(
        "fresh AS MATERIALIZED (SELECT license_id, 'device' AS kind, fingerprint AS value, at, country FROM unfiled \
         WHERE {of}outcome = 'VALID' AND fingerprint IS NOT NULL \
         UNION ALL SELECT license_id, 'domain' AS kind, COALESCE(covered_by, domain) AS value, at, country FROM unfiled \
         WHERE {of}outcome = 'VALID' AND domain IS NOT NULL)"
    )
}

fn of_one<D: Dialect>() -> String {
    format!("{} AND ", unfiled_of::<D>(1))
}

/// A page of the activations of a license, of one kind or of both.
pub(super) fn listed_activations<D: Dialect>(of_kind: &str) -> String {
    details(&of_one::<D>(), &format!("license_id = $1 AND id > $2{of_kind} ORDER BY id"), "page.id")
}

/// A page of all activations.
pub(super) fn all_activations() -> String {
    let page = "(license_id, id) > ($1, $2) ORDER BY license_id, id";
    details("", page, "page.license_id, page.id")
}

/// A page of activations with what validations say of them. `place` numbers those that are not filed, the latest with a known
/// country first.
fn details(of: &str, page: &str, order: &str) -> String {
    // Looked up for each, since a join may be planned as a reading of all that the license has.
    let used = |column: &str| {
        format!(
            "(SELECT {column} FROM activation_usage u WHERE u.license_id = a.license_id AND u.kind = a.kind \
             AND u.value = a.value)"
        )
    };
    format!(
        "WITH {}, page AS MATERIALIZED (SELECT license_id, id, kind, value, created_at, label, {} AS first_seen_at, \
         {} AS seen_at, {} AS validations, {} AS country FROM activations a WHERE {page} LIMIT $3 + 0), \
         placed AS (SELECT page.license_id, page.id, fresh.at, fresh.country, ROW_NUMBER() OVER (PARTITION BY page.license_id, \
         page.id ORDER BY CASE WHEN fresh.country IS NULL THEN 1 ELSE 0 END, fresh.at DESC) AS place \
         FROM page JOIN fresh ON fresh.license_id = page.license_id AND fresh.kind = page.kind \
         AND fresh.value = page.value AND fresh.at >= page.created_at), \
         counted AS (SELECT license_id, id, COUNT(*) AS n, MIN(at) AS earliest, MAX(at) AS latest, \
         MAX(CASE WHEN place = 1 THEN country END) AS country FROM placed GROUP BY license_id, id) \
         SELECT page.license_id, page.id, page.kind, page.value, page.created_at, page.label, \
         COALESCE(page.first_seen_at, counted.earliest) AS first_seen_at, \
         CASE WHEN counted.latest IS NULL OR (page.validations > 0 AND page.seen_at > counted.latest) \
         THEN CASE WHEN page.validations > 0 THEN page.seen_at END ELSE counted.latest END AS last_seen_at, \
         COALESCE(page.validations, 0) + COALESCE(counted.n, 0) AS validations, \
         COALESCE(counted.country, page.country) AS country \
         FROM page LEFT JOIN counted ON counted.license_id = page.license_id AND counted.id = page.id ORDER BY {order}",
        fresh(of),
        used("first_seen_at"),
        used("seen_at"),
        used("validations"),
        used("country")
    )
}

/// The devices of a license that were not seen for the longest. Those that could be among them by what is filed are as many
/// more as were seen since: only these move back in the order.
pub(super) fn unseen<D: Dialect>(before: bool) -> String {
    let fresh = fresh(&of_one::<D>());
    let (days, moment) = if before { (" AND seen_day <= $4", " WHERE moved.seen_at < $3") } else { ("", "") };
    format!(
        "WITH {fresh}, latest AS MATERIALIZED (SELECT value, MAX(at) AS at FROM fresh WHERE kind = 'device' GROUP BY value), \
         filed AS MATERIALIZED (SELECT value, seen_at FROM activation_usage WHERE license_id = $1 AND kind = 'device'{days} \
         ORDER BY seen_day, seen_at, value LIMIT $2 + (SELECT COUNT(*) FROM latest)), \
         moved AS (SELECT filed.value, CASE WHEN latest.at > filed.seen_at THEN latest.at ELSE filed.seen_at END AS seen_at \
         FROM filed LEFT JOIN latest ON latest.value = filed.value) \
         SELECT a.id, a.kind, a.value, a.created_at, a.label, moved.seen_at FROM moved JOIN activations a \
         ON a.license_id = $1 AND a.kind = 'device' AND a.value = moved.value{moment} \
         ORDER BY moved.seen_at, a.value LIMIT $2 + 0"
    )
}

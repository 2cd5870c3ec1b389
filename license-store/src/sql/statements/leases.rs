//! SQL on leases.

/// The columns, in the order of [`lease_row`](crate::sql::rows::lease_row).
const COLUMNS: &str = "license_id, id, device_id, domain_id, issued_at, expires_at, signing_key, claims, \
    is_renewal, ended_by, ended_at";

statements! {
    /// Statements on the leases of the license `$1`, unless they say something else.
    LeaseStatements {
        /// Inserts the leases of the rows `$1`.
        insert: format!(
            "INSERT INTO leases ({COLUMNS}) SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, #4, #5, \
             value ->> 6, value ->> 7, #8, value ->> 9, #10 FROM {}",
            D::items(1)
        ),
        find: format!("SELECT {COLUMNS} FROM leases WHERE license_id = $1 AND id = $2"),
        list: format!(
            "SELECT {COLUMNS} FROM leases WHERE license_id = $1 AND id > $2 ORDER BY id LIMIT $3 + 0"
        ),
        /// The leases of the activations `$2` that end after `$3` and did not end before their time.
        open: format!(
            "{open} AND {} UNION {open} AND domain_id IS NOT NULL AND {} ORDER BY id",
            D::is_one_of("device_id", 2),
            D::is_one_of("domain_id", 2)
        ),
        /// Ends the leases `$2`.
        end: format!(
            "UPDATE leases SET ended_by = $3, ended_at = $4 WHERE license_id = $1 AND {}",
            D::is_one_of("id", 2)
        ),
        end_all: "UPDATE leases SET ended_by = $2, ended_at = $3 WHERE license_id = $1",
        /// The slots that leases hold at `$2`, and the leases since `$3`.
        usage: format!(
            "SELECT CAST((SELECT COUNT(*) {held}) AS BIGINT) AS held, (SELECT MIN(held_until) {held}) AS next_free_at, \
             CAST((SELECT COUNT(*) {of_day}) AS BIGINT) AS issued, (SELECT MIN(issued_at) {of_day}) AS first_issued_at"
        ),
        /// Leases that end after `$2`, the latest end first, at most `$3`.
        outstanding: outstanding(""),
        /// As `outstanding`, of those that ended before their time.
        outstanding_ended: outstanding(" AND ended_by IS NOT NULL"),
        /// As `outstanding`, of the device `$4`.
        outstanding_of_device: outstanding(" AND device_id = $4"),
        /// Leases of the product `$1` that end after `$2`, and ended before their time or belong to a license
        /// that is not active.
        revoked:
            "SELECT leases.id AS id FROM leases JOIN licenses ON licenses.id = leases.license_id \
             WHERE leases.ended_by IS NOT NULL AND leases.expires_at > $2 AND licenses.product = $1 \
             UNION SELECT leases.id AS id FROM licenses JOIN leases ON leases.license_id = licenses.id \
             WHERE licenses.product = $1 AND licenses.state <> 'active' AND licenses.leased_until > $2 \
             AND leases.expires_at > $2 ORDER BY id",
        /// Licenses with slots that are freed at `$1`, at most `$2`.
        returned:
            "SELECT DISTINCT activations.license_id AS license_id FROM activations \
             JOIN licenses ON licenses.id = activations.license_id \
             WHERE activations.is_returned = 1 AND activations.held_until <= $1 AND licenses.state <> 'revoked' \
             ORDER BY license_id LIMIT $2 + 0",
        /// Deletes leases that ended at `$1` and were issued at `$2` or before, at most `$3`.
        prune:
            "DELETE FROM leases WHERE (license_id, id) IN (SELECT license_id, id FROM leases \
             WHERE expires_at <= $1 AND issued_at <= $2 ORDER BY expires_at LIMIT $3 + 0) RETURNING id",
        /// Leases after the license `$1` and the id `$2` that end after `$3`, at most `$4`.
        export: format!(
            "SELECT {COLUMNS} FROM leases WHERE (license_id, id) > ($1, $2) AND expires_at > $3 \
             ORDER BY license_id, id LIMIT $4 + 0"
        ),
        /// Keeps the signing key `$1` until `$2`, if it is active.
        keep_key:
            "UPDATE signing_keys SET signed_until = $2 \
             WHERE id = $1 AND state = 'active' AND (signed_until IS NULL OR signed_until < $2)",
        /// Locks the signing key `$1` if it is active and kept until `$2`, so that this stays so until the
        /// commit.
        lock_key: format!(
            "SELECT id FROM signing_keys WHERE id = $1 AND state = 'active' AND signed_until >= $2{}",
            D::FOR_SHARE
        ),
    } where {
        let open = format!(
            "SELECT {COLUMNS} FROM leases WHERE license_id = $1 AND ended_by IS NULL AND expires_at > $3"
        );
        let held = "FROM activations WHERE license_id = $1 AND kind = 'device' AND held_until > $2";
        let of_day = "FROM leases WHERE license_id = $1 AND is_renewal = 0 AND issued_at > $3 \
            AND (ended_by IS NULL OR ended_by <> 'revoked')";
    }
}

fn outstanding(condition: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM leases WHERE license_id = $1 AND expires_at > $2{condition} \
         ORDER BY expires_at DESC, id LIMIT $3 + 0"
    )
}

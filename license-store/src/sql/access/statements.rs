//! The texts of SQL for tokens and the audit.

use license_core::audit::AuditFilter;
use license_core::store::PageRequest;
use license_core::token::TokenId;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::sql::dialect::{Dialect, Value};

const TOKEN: &str = "id, digest, name, scopes, created_at, last_used_at, expires_at, revoked_at";
const AUDIT: &str = "at, actor_kind, actor_token, actor_name, request_id, address, action, license_id, token_id, \
    changes, metadata";
/// Whether an address, in parameter 1, stands in a column of JSON.
macro_rules! holds {
    ($column:literal) => {
        concat!("replace(", $column, ", $1, $2) <> ", $column)
    };
}

#[derive(Debug)]
pub(in crate::sql) struct AccessStatements {
    pub(super) insert_token: SqlStr,
    pub(super) lock_token: SqlStr,
    pub(super) revoke_token: SqlStr,
    pub(super) token_by_digest: SqlStr,
    pub(super) token: SqlStr,
    pub(super) note_token_uses: SqlStr,
    pub(super) insert_audit: SqlStr,
    pub(super) forget_audit: SqlStr,
    pub(super) write_events: SqlStr,
    pub(super) erase_audit_of: SqlStr,
    pub(super) licenses_named_with: SqlStr,
    pub(super) erase_metadata: SqlStr,
    pub(super) erase_audit: SqlStr,
}

impl AccessStatements {
    pub(in crate::sql) fn new<D: Dialect>() -> Self {
        let (for_update, items) = (D::FOR_UPDATE, D::items(1));
        Self {
            insert_token: sql(format!(
                "INSERT INTO tokens ({TOKEN}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id"
            )),
            lock_token: sql(format!("SELECT {TOKEN} FROM tokens WHERE id = $1{for_update}")),
            revoke_token: SqlStr::from_static("UPDATE tokens SET revoked_at = $2 WHERE id = $1"),
            token_by_digest: sql(format!("SELECT {TOKEN} FROM tokens WHERE digest = $1")),
            token: sql(format!("SELECT {TOKEN} FROM tokens WHERE id = $1")),
            note_token_uses: sql(format!(
                "UPDATE tokens SET last_used_at = used.at FROM \
                 (SELECT value ->> 0 AS id, CAST(value ->> 1 AS BIGINT) AS at FROM {items}) AS used \
                 WHERE tokens.id = used.id AND (tokens.last_used_at IS NULL OR tokens.last_used_at < used.at)"
            )),
            insert_audit: sql(format!(
                "INSERT INTO audit ({AUDIT}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
            )),
            forget_audit: SqlStr::from_static(
                "DELETE FROM audit WHERE sequence IN (SELECT sequence FROM audit WHERE at < $1 ORDER BY at LIMIT $2 + 0) \
                 RETURNING sequence",
            ),
            write_events: sql(format!(
                "UPDATE events SET data = erased.data FROM \
                 (SELECT CAST(value ->> 0 AS BIGINT) AS sequence, value ->> 1 AS data FROM {items}) AS erased \
                 WHERE events.license_id = $2 AND events.sequence = erased.sequence"
            )),
            erase_audit_of: SqlStr::from_static(
                "UPDATE audit SET metadata = NULL, changes = replace(changes, $1, $2) WHERE license_id = $3",
            ),
            licenses_named_with: SqlStr::from_static(concat!(
                "SELECT DISTINCT license_id FROM audit WHERE license_id IS NOT NULL AND ",
                holds!("changes")
            )),
            erase_metadata: SqlStr::from_static(concat!(
                "UPDATE audit SET metadata = NULL WHERE metadata IS NOT NULL AND sequence <= \
                 (SELECT MAX(later.sequence) FROM audit later WHERE later.license_id = audit.license_id AND ",
                holds!("later.changes"),
                ")"
            )),
            erase_audit: SqlStr::from_static(concat!(
                "UPDATE audit SET changes = replace(changes, $1, $2) WHERE ",
                holds!("changes")
            )),
        }
    }
}

/// A page of tokens; `behind` one, in parameter 2.
pub(super) fn tokens(behind: bool) -> SqlStr {
    let condition = if behind { "WHERE id < $2 " } else { "" };
    sql(format!("SELECT {TOKEN} FROM tokens {condition}ORDER BY id DESC LIMIT $1 + 0"))
}

/// The page of entries that pass a filter. Only conditions that are asked for stand in the text, so that an index serves each.
pub(super) fn audit<'a>(filter: &'a AuditFilter, page: &PageRequest<i64>) -> (SqlStr, Vec<Value<'a>>) {
    let AuditFilter { license_id, token_id, action, from, to } = filter;
    let mut values = vec![Value::from(i64::from(page.limit) + 1)];
    let mut conditions = vec!["1 = 1".to_owned()];
    let mut ask = |condition: &str, value: Value<'a>| {
        values.push(value);
        conditions.push(condition.replace('?', &format!("${}", values.len())));
    };
    if let Some(id) = license_id {
        ask("license_id = ?", id.as_str().into());
    }
    if let Some(id) = token_id.as_ref().map(TokenId::as_str) {
        ask("(actor_token = ? OR token_id = ?)", id.into());
    }
    if let Some(action) = action {
        ask("action = ?", action.as_str().into());
    }
    if let Some(from) = from {
        ask("at >= ?", from.timestamp_micros().into());
    }
    if let Some(to) = to {
        ask("at < ?", to.timestamp_micros().into());
    }
    if let Some(after) = page.after {
        ask("sequence < ?", after.into());
    }
    let conditions = conditions.join(" AND ");
    let text =
        format!("SELECT sequence, {AUDIT} FROM audit WHERE {conditions} ORDER BY sequence DESC LIMIT $1 + 0");
    (sql(text), values)
}

/// Only texts of this file come here; what callers send goes through parameters.
fn sql(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}

//! SQL on API tokens.

use license_core::access::{TokenId, TokenUse};
use license_core::store::PageRequest;
use sqlx::SqlStr;

use super::list_query::ListQuery;
use crate::sql::dialect::Value;

const TOKEN: &str =
    "id, digest, name, scopes, created_at, last_used_at, expires_at, revoked_at, kind, parent_id";

statements! {
    TokenStatements {
        insert: format!(
            "INSERT INTO tokens ({TOKEN}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING id"
        ),
        lock: format!("SELECT {TOKEN} FROM tokens WHERE id = $1{}", D::FOR_UPDATE),
        revoke: "UPDATE tokens SET revoked_at = $2 WHERE id = $1",
        revoke_children: format!(
            "UPDATE tokens SET revoked_at = $2 WHERE parent_id = $1 AND revoked_at IS NULL RETURNING {TOKEN}"
        ),
        prune_sessions:
            "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE parent_id IS NOT NULL AND created_at < $1 \
             ORDER BY created_at LIMIT $2 + 0) RETURNING id",
        find_by_digest: format!("SELECT {TOKEN} FROM tokens WHERE digest = $1"),
        get: format!("SELECT {TOKEN} FROM tokens WHERE id = $1"),
        record_uses: format!(
            "UPDATE tokens SET last_used_at = used.at FROM (SELECT value ->> 0 AS id, #1 AS at FROM {}) AS used \
             WHERE tokens.id = used.id AND (tokens.last_used_at IS NULL OR tokens.last_used_at < used.at \
             OR tokens.last_used_at > used.at + {max_delay})",
            D::items(1)
        ),
    } where {
        let max_delay = TokenUse::MAX_DELAY.num_microseconds().unwrap_or(i64::MAX);
    }
}

impl TokenStatements {
    /// A page of tokens, newest first.
    pub(crate) fn list(page: &PageRequest<TokenId>) -> (SqlStr, Vec<Value<'_>>) {
        let mut list = ListQuery::new(page.limit);
        list.filter("id < ?", page.after.as_ref().map(TokenId::as_str));
        list.build(&format!("SELECT {TOKEN} FROM tokens WHERE 1 = 1"), "id DESC")
    }
}

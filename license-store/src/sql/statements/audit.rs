//! SQL on the audit log.

use license_core::access::{AuditFilter, TokenId};
use license_core::license::LicenseId;
use license_core::store::PageRequest;
use sqlx::SqlStr;

use super::list_query::ListQuery;
use crate::sql::dialect::Value;

const AUDIT: &str = "at, actor_kind, actor_token, actor_name, request_id, address, action, license_id, token_id, \
    changes, metadata";

/// Whether the address in parameter 1 occurs in a column of JSON.
macro_rules! has_address {
    ($column:literal) => {
        concat!("replace(", $column, ", $1, $2) <> ", $column)
    };
}

statements! {
    AuditStatements {
        insert: format!(
            "INSERT INTO audit ({AUDIT}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        ),
        prune:
            "DELETE FROM audit WHERE sequence IN (SELECT sequence FROM audit WHERE at < $1 ORDER BY at LIMIT $2 + 0) \
             RETURNING sequence",
        /// Replaces the address `$1` by `$2` in the entries of the license `$3`.
        erase_of_license:
            "UPDATE audit SET metadata = NULL, changes = replace(changes, $1, $2) WHERE license_id = $3",
        /// Licenses with an entry that has the address.
        licenses_with_address: concat!(
            "SELECT DISTINCT license_id FROM audit WHERE license_id IS NOT NULL AND ",
            has_address!("changes")
        ),
        erase_metadata: concat!(
            "UPDATE audit SET metadata = NULL WHERE metadata IS NOT NULL AND sequence <= \
             (SELECT MAX(later.sequence) FROM audit later WHERE later.license_id = audit.license_id AND ",
            has_address!("later.changes"),
            ")"
        ),
        erase: concat!(
            "UPDATE audit SET changes = replace(changes, $1, $2) WHERE ",
            has_address!("changes")
        ),
    }
}

impl AuditStatements {
    /// A page of the entries that match a filter, newest first.
    pub(crate) fn list<'a>(filter: &'a AuditFilter, page: &PageRequest<u64>) -> (SqlStr, Vec<Value<'a>>) {
        let AuditFilter { license_id, token_id, action, from, to } = filter;
        let mut list = ListQuery::new(page.limit);
        list.filter("license_id = ?", license_id.as_ref().map(LicenseId::as_str));
        list.filter("(actor_token = ? OR token_id = ?)", token_id.as_ref().map(TokenId::as_str));
        list.filter("action = ?", action.as_deref());
        list.filter("at >= ?", from.map(|from| from.timestamp_micros()));
        list.filter("at < ?", to.map(|to| to.timestamp_micros()));
        list.filter("sequence < ?", page.after.map(crate::sql::rows::int));
        list.build(&format!("SELECT sequence, {AUDIT} FROM audit WHERE 1 = 1"), "sequence DESC")
    }
}

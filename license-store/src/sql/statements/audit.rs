//! SQL on the audit log.

use license_core::access::{AuditFilter, TokenId};
use license_core::license::LicenseId;
use license_core::store::PageRequest;
use license_core::webhook::EndpointId;
use sqlx::SqlStr;

use super::list_query::ListQuery;
use crate::sql::dialect::Value;

const AUDIT: &str = "at, actor_kind, actor_token, actor_name, request_id, address, action, license_id, token_id, \
    endpoint_id, changes, metadata, reason";

statements! {
    AuditStatements {
        insert: format!(
            "INSERT INTO audit ({AUDIT}) SELECT #0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
             value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12 FROM {}",
            D::items(1)
        ),
        prune:
            "DELETE FROM audit WHERE sequence IN (SELECT sequence FROM audit WHERE at < $1 ORDER BY at LIMIT $2 + 0) \
             RETURNING sequence",
        /// Replaces the address `$1` by `$2` in the entries of the license `$3`.
        erase_of_license:
            "UPDATE audit SET metadata = NULL, reason = NULL, changes = replace(changes, $1, $2) WHERE license_id = $3",
        /// As `erase_of_license`, with the metadata and reasons of the entries up to the time `$4` only.
        erase_former:
            "UPDATE audit SET metadata = CASE WHEN at <= $4 THEN NULL ELSE metadata END, \
             reason = CASE WHEN at <= $4 THEN NULL ELSE reason END, \
             changes = replace(changes, $1, $2) WHERE license_id = $3",
        insert_former_customer:
            "INSERT INTO former_customers (customer_email, license_id, until) VALUES ($1, $2, $3) \
             ON CONFLICT (customer_email, license_id) DO UPDATE SET until = excluded.until",
        former_licenses: "SELECT license_id, until FROM former_customers WHERE customer_email = $1",
        delete_former_customer: "DELETE FROM former_customers WHERE customer_email = $1",
    }
}

impl AuditStatements {
    /// A page of the entries that match a filter, newest first.
    pub(crate) fn list<'a>(filter: &'a AuditFilter, page: &PageRequest<u64>) -> (SqlStr, Vec<Value<'a>>) {
        let AuditFilter { license_id, token_id, endpoint_id, action, from, to } = filter;
        let mut list = ListQuery::new(page.limit);
        list.filter("license_id = ?", license_id.as_ref().map(LicenseId::as_str));
        list.filter("(actor_token = ? OR token_id = ?)", token_id.as_ref().map(TokenId::as_str));
        list.filter("endpoint_id = ?", endpoint_id.as_ref().map(EndpointId::as_str));
        list.filter("action = ?", action.as_deref());
        list.filter("at >= ?", from.map(|from| from.timestamp_micros()));
        list.filter("at < ?", to.map(|to| to.timestamp_micros()));
        list.filter("sequence < ?", page.after.map(crate::sql::rows::int));
        list.build(&format!("SELECT sequence, {AUDIT} FROM audit WHERE 1 = 1"), "sequence DESC")
    }
}

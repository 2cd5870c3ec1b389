//! SQL that finds licenses and customers.

use license_core::license::{CustomerEmail, EmailPrefix};
use license_core::limits;
use license_core::store::CustomerQuery;
use sqlx::SqlStr;

use super::fragments::AS_OF;
use super::licenses::detail_columns;
use super::list_query::ListQuery;
use crate::sql::dialect::Value;

statements! {
    SearchStatements {
        insert_metadata: format!(
            "INSERT INTO license_metadata (name, value, license_id) \
             SELECT value ->> 0, value ->> 1, value ->> 2 FROM {items}"
        ),
        delete_metadata: format!(
            "DELETE FROM license_metadata WHERE (name, value, license_id) IN \
             (SELECT value ->> 0, value ->> 1, value ->> 2 FROM {items})"
        ),
        /// Selects licenses as in a list. The rows of a page follow, with the columns `page_id` and `page_end`.
        details: format!("SELECT {} FROM ", detail_columns::<D>(limits::LISTED_ACTIVATIONS)),
    } where {
        let items = D::items(1);
    }
}

/// A page of the customers that match a query.
pub(crate) fn customers(query: &CustomerQuery) -> (SqlStr, Vec<Value<'_>>) {
    let CustomerQuery { email, prefix, at, page } = query;
    let mut list = ListQuery::new(page.limit);
    list.filter("customer_email = ?", email.as_ref().map(CustomerEmail::as_str));
    list.filter("customer_email >= ?", prefix.as_ref().map(EmailPrefix::as_str));
    list.filter("customer_email < ?", prefix.as_ref().map(end_of_prefix));
    list.filter("customer_email > ?", page.after.as_ref().map(CustomerEmail::as_str));
    let select = "SELECT DISTINCT customer_email AS email FROM licenses WHERE customer_email IS NOT NULL";
    let (emails, mut values) = list.build(select, "customer_email");
    values.push(at.timestamp_micros().into());
    let now = values.len();
    let count = |name: &str, condition: String| format!("COUNT(CASE WHEN {condition} THEN 1 END) AS {name}");
    let counts = [
        count("active", format!("l.state = 'active' AND l.ends_at > ${now}")),
        count("suspended", "l.state = 'suspended'".to_owned()),
        count("expired", format!("l.state = 'active' AND l.ends_at <= ${now}")),
        count("revoked", "l.state = 'revoked'".to_owned()),
    ];
    let text = format!(
        "SELECT found.email AS customer_email, {}, MAX(c.last_validated_at) AS last_validated_at, {AS_OF}, \
         (SELECT n.customer_name FROM licenses n WHERE n.customer_email = found.email \
         AND n.customer_name IS NOT NULL ORDER BY n.id DESC LIMIT 1) AS customer_name \
         FROM ({}) AS found CROSS JOIN licenses l LEFT JOIN license_counters c ON c.license_id = l.id \
         WHERE l.customer_email = found.email GROUP BY found.email ORDER BY found.email",
        counts.join(", "),
        emails.as_str()
    );
    (super::fragments::sql(text), values)
}

/// The text after all that begin with a prefix.
pub(crate) fn end_of_prefix(prefix: &EmailPrefix) -> String {
    format!("{}{}", prefix.as_str(), char::MAX)
}

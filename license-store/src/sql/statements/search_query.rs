//! Statements of one search.
//!
//! The licenses that match are few or many, and no planner knows how many. So each filter with an index is
//! probed up to the limit of the count. If a filter has few licenses, those are read and sorted. Otherwise
//! licenses are read in the requested order until the page is full.

use license_core::domain::DomainName;
use license_core::license::{
    CustomerEmail, EmailDomain, EmailPrefix, ExternalId, Fingerprint, LicenseState, Status,
};
use license_core::limits;
use license_core::store::{SearchFilter, SearchQuery, SearchRange};
use license_core::usage::Day;
use sqlx::SqlStr;

use super::fragments::sql;
use super::search::end_of_prefix;
use crate::sql::dialect::{Dialect, Value};
use crate::sql::rows::NEVER;

/// Licenses that are read before a search leaves the order to the planner.
const WINDOW: u32 = 5_000;
/// The columns of `licenses` that conditions use.
const COLUMNS: &str = "id, key_digest, state, product, plan, customer_email, customer_domain, external_id, \
    activated_at, at_limit, ends_at";

/// A filter as SQL, with `?` for its values.
struct Condition<'a> {
    /// On `licenses`, in a form that can use an index.
    indexed: String,
    /// The same in a form that uses no index, if an index would not give the order of the list.
    plain: String,
    values: Vec<Value<'a>>,
    /// Selects the ids of all licenses that match, by an index.
    ids: Option<String>,
    /// Whether `ids` has no others.
    is_exact: bool,
    /// Whether at most one license matches.
    is_unique: bool,
}

impl<'a> Condition<'a> {
    /// A condition on columns, each written as `licenses.NAME`, with an index that has the order of ids.
    fn on(condition: &str, values: Vec<Value<'a>>) -> Self {
        let ids = Some(format!("SELECT id AS license_id FROM licenses WHERE {condition}"));
        let (indexed, plain) = (condition.to_owned(), condition.to_owned());
        Self { indexed, plain, values, ids, is_exact: true, is_unique: false }
    }

    fn equal(column: &str, value: impl Into<Value<'a>>) -> Self {
        let plain = format!("(licenses.{column} || '') = ?");
        Self { plain, ..Self::on(&format!("licenses.{column} = ?"), vec![value.into()]) }
    }

    fn unique(column: &str, value: impl Into<Value<'a>>) -> Self {
        Self { is_unique: true, ..Self::on(&format!("licenses.{column} = ?"), vec![value.into()]) }
    }

    /// A condition on rows of another table, which has its own index. Each license is looked up: without the
    /// OFFSET, a planner without statistics would compare all licenses with all rows.
    fn has(table: &str, condition: String, values: Vec<Value<'a>>) -> Self {
        let indexed = format!(
            "EXISTS (SELECT 1 FROM {table} t WHERE t.license_id = licenses.id AND {condition} LIMIT 1 OFFSET 0)"
        );
        let ids = Some(format!("SELECT t.license_id FROM {table} t WHERE {condition}"));
        Self { plain: indexed.clone(), indexed, values, ids, is_exact: true, is_unique: false }
    }
}

/// The statements of a search.
pub(crate) struct SearchSql<'a> {
    query: &'a SearchQuery,
    conditions: Vec<Condition<'a>>,
}

/// Where a statement reads licenses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Those of the filter with this index, which has few.
    Filter(usize),
    /// The next ones in the order of ids.
    Window,
    /// All, as the planner likes.
    All,
}

impl<'a> SearchSql<'a> {
    pub(crate) fn new(query: &'a SearchQuery) -> Self {
        Self { query, conditions: conditions(query) }
    }

    /// Returns whether at most one license matches.
    pub(crate) fn is_unique(&self) -> bool {
        self.conditions.iter().any(|condition| condition.is_unique)
    }

    /// Returns whether a probe of the filter with this index counts the licenses that match.
    pub(crate) fn is_counted_by(&self, index: usize) -> bool {
        self.conditions.len() == 1 && self.conditions[index].is_exact
    }

    /// Returns whether a [window](Source::Window) can hold a page.
    pub(crate) fn has_window(&self) -> bool {
        !self.query.sort.is_by_end() && !self.conditions.is_empty()
    }

    /// Counts the licenses of each filter with an index, up to the limit. Returns the filters in the order of
    /// the rows, which have the column `n`.
    pub(crate) fn probe(&self) -> Option<(SqlStr, Vec<Value<'a>>, Vec<usize>)> {
        let (mut values, mut selects, mut probed) = (Vec::new(), Vec::new(), Vec::new());
        for (index, condition) in self.conditions.iter().enumerate() {
            if let Some(ids) = &condition.ids {
                let ids = numbered(ids, &condition.values, &mut values);
                let limit = limits::SEARCH_COUNT + 1;
                selects.push(format!(
                    "SELECT {index} AS i, (SELECT COUNT(*) FROM ({ids} LIMIT {limit}) AS probed) AS n"
                ));
                probed.push(index);
            }
        }
        let text = format!("SELECT n FROM ({}) AS probes ORDER BY i", selects.join(" UNION ALL "));
        (!probed.is_empty()).then(|| (sql(text), values, probed))
    }

    /// Selects a page. `details` selects its licenses.
    pub(crate) fn page<D: Dialect>(&self, details: &str, source: Source) -> (SqlStr, Vec<Value<'a>>) {
        let SearchQuery { sort, page, .. } = self.query;
        let mut values = vec![Value::from(i64::from(page.limit) + 1)];
        let from = self.from::<D>(source, &mut values);
        let after = self.after(&mut values);
        let direction = if sort.is_descending() { "DESC" } else { "ASC" };
        let order = |end: &str, id: &str| {
            let by_end = if sort.is_by_end() { format!("{end} {direction}, ") } else { String::new() };
            format!("ORDER BY {by_end}{id} {direction}")
        };
        let text = format!(
            "{details}(SELECT licenses.id AS page_id, licenses.ends_at AS page_end FROM {from}{after} {} \
             LIMIT $1 + 0) AS page CROSS JOIN licenses l LEFT JOIN license_counters c ON c.license_id = l.id \
             WHERE l.id = page.page_id {}",
            order("licenses.ends_at", "licenses.id"),
            order("page.page_end", "page.page_id")
        );
        (sql(text), values)
    }

    /// Counts the licenses that match, up to the limit.
    pub(crate) fn count<D: Dialect>(&self, source: Source) -> (SqlStr, Vec<Value<'a>>) {
        let mut values = Vec::new();
        let from = self.from::<D>(source, &mut values);
        let limit = limits::SEARCH_COUNT + 1;
        (sql(format!("SELECT COUNT(*) AS n FROM (SELECT 1 FROM {from} LIMIT {limit}) AS counted")), values)
    }

    /// The licenses of a source that match: the text after `FROM`, which ends with a condition.
    fn from<D: Dialect>(&self, source: Source, values: &mut Vec<Value<'a>>) -> String {
        let looked_up =
            |each: &str| D::looked_up(each, "licenses", COLUMNS, "licenses.id = found.license_id");
        let mut text = match source {
            Source::Filter(index) => {
                let Condition { ids, values: own, .. } = &self.conditions[index];
                let ids = numbered(ids.as_deref().unwrap_or_default(), own, values);
                let limit = limits::SEARCH_COUNT + 1;
                looked_up(&format!("(SELECT DISTINCT license_id FROM ({ids} LIMIT {limit}) AS few) AS found"))
            }
            Source::Window => {
                let after = self.after(values);
                let direction = if self.query.sort.is_descending() { "DESC" } else { "ASC" };
                looked_up(&format!(
                    "(SELECT id AS license_id FROM licenses WHERE 1 = 1{after} ORDER BY id {direction} \
                     LIMIT {WINDOW}) AS found"
                ))
            }
            Source::All => "licenses WHERE 1 = 1".to_owned(),
        };
        let uses_index = source == Source::All && !self.query.sort.is_by_end();
        for condition in &self.conditions {
            let is_ordered = condition.indexed.contains(" = ?") || self.conditions.len() == 1;
            let is_order = self.query.sort.is_by_end() && condition.indexed.contains("licenses.ends_at ");
            let form = if (uses_index && is_ordered) || (source == Source::All && is_order) {
                &condition.indexed
            } else {
                &condition.plain
            };
            text.push_str(" AND ");
            text.push_str(&numbered(form, &condition.values, values));
        }
        text
    }

    /// The condition that skips earlier pages.
    fn after(&self, values: &mut Vec<Value<'a>>) -> String {
        let Some(cursor) = &self.query.page.after else { return String::new() };
        let sign = if self.query.sort.is_descending() { "<" } else { ">" };
        let id = cursor.id.as_str().into();
        if self.query.sort.is_by_end() {
            let end = cursor.expires_at.map_or(NEVER, |at| at.timestamp_micros()).into();
            let condition = format!(" AND (licenses.ends_at, licenses.id) {sign} (?, ?)");
            numbered(&condition, &[end, id], values)
        } else {
            numbered(&format!(" AND licenses.id {sign} ?"), &[id], values)
        }
    }
}

/// Numbers the parameters of a condition, and adds their values.
fn numbered<'a>(condition: &str, own: &[Value<'a>], values: &mut Vec<Value<'a>>) -> String {
    let mut parts = condition.split('?');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (part, value) in parts.zip(own) {
        values.push(value.clone());
        text.push_str(&format!("${}{part}", values.len()));
    }
    text
}

fn conditions(SearchQuery { filter, at, .. }: &SearchQuery) -> Vec<Condition<'_>> {
    let SearchFilter {
        key,
        customer_email,
        email_prefix,
        email_domain,
        domain,
        fingerprint,
        external_id,
        metadata,
        product,
        plan,
        status,
        expires,
        never_activated,
        last_validated,
        at_limit,
    } = filter;
    let mut all = Vec::new();
    all.extend(key.as_ref().map(|key| Condition::unique("key_digest", key.as_bytes().as_slice())));
    all.extend(external_id.as_ref().map(|id| Condition::unique("external_id", ExternalId::as_str(id))));
    let email = customer_email.as_ref().map(CustomerEmail::as_str);
    all.extend(email.map(|email| Condition::equal("customer_email", email)));
    all.extend(email_prefix.as_ref().map(|prefix| Condition {
        plain: "(licenses.customer_email || '') >= ? AND (licenses.customer_email || '') < ?".to_owned(),
        ..Condition::on(
            "licenses.customer_email >= ? AND licenses.customer_email < ?",
            vec![EmailPrefix::as_str(prefix).into(), end_of_prefix(prefix).into()],
        )
    }));
    let host = email_domain.as_ref().map(EmailDomain::as_str);
    all.extend(host.map(|host| Condition::equal("customer_domain", host)));
    all.extend(domain.as_ref().map(|domain| {
        let names = DomainName::covering_names(domain);
        let marks = vec!["?"; names.len()].join(", ");
        let values = names.into_iter().map(Value::from).collect();
        // A license may hold the name and a wildcard.
        Condition {
            is_exact: false,
            ..Condition::has("activations", format!("t.kind = 'domain' AND t.value IN ({marks})"), values)
        }
    }));
    let device = fingerprint.as_ref().map(Fingerprint::as_str);
    all.extend(device.map(|device| {
        Condition::has("activations", "t.kind = 'device' AND t.value = ?".to_owned(), vec![device.into()])
    }));
    all.extend(metadata.iter().map(|(name, value)| {
        let values = vec![name.as_str().into(), value.as_str().into()];
        Condition::has("license_metadata", "t.name = ? AND t.value = ?".to_owned(), values)
    }));
    all.extend(product.as_deref().map(|product| Condition::equal("product", product)));
    all.extend(plan.as_deref().map(|plan| Condition::equal("plan", plan)));
    all.extend(status.map(|status| with_status(status, at.timestamp_micros())));
    if !expires.is_open() {
        let SearchRange { from, before } = expires;
        // Perpetual licenses have no end.
        let before = before.map_or(NEVER, |before| before.timestamp_micros());
        let from = from.map_or(i64::MIN, |from| from.timestamp_micros());
        all.push(Condition {
            plain: "(licenses.ends_at + 0) >= ? AND (licenses.ends_at + 0) < ?".to_owned(),
            ..Condition::on(
                "licenses.ends_at >= ? AND licenses.ends_at < ?",
                vec![from.into(), before.into()],
            )
        });
    }
    all.extend(never_activated.map(|never| {
        let is_null = if never { "IS NULL" } else { "IS NOT NULL" };
        let condition = Condition::on(&format!("licenses.activated_at {is_null}"), Vec::new());
        if never { condition } else { Condition { ids: None, ..condition } }
    }));
    if !last_validated.is_open() {
        let SearchRange { from, before } = last_validated;
        let from = from.map_or(i64::MIN, Day::number);
        let before = before.map_or(i64::MAX, Day::number);
        let values = vec![from.into(), before.into()];
        let condition = "t.last_validated_day >= ? AND t.last_validated_day < ?".to_owned();
        all.push(Condition::has("license_counters", condition, values));
    }
    all.extend(at_limit.map(|at_limit| {
        let condition = Condition::on(&format!("licenses.at_limit = {}", i64::from(at_limit)), Vec::new());
        if at_limit { condition } else { Condition { ids: None, ..condition } }
    }));
    all
}

fn with_status<'a>(status: Status, now: i64) -> Condition<'a> {
    let active = LicenseState::Active.as_str();
    match status {
        Status::Active => {
            let condition = format!("licenses.state = '{active}' AND (licenses.ends_at + 0) > ?");
            Condition::on(&condition, vec![now.into()])
        }
        Status::Expired => Condition {
            plain: format!("licenses.state = '{active}' AND (licenses.ends_at + 0) <= ?"),
            ..Condition::on(
                &format!("(licenses.state || '') = '{active}' AND licenses.ends_at <= ?"),
                vec![now.into()],
            )
        },
        Status::Suspended => Condition::equal("state", LicenseState::Suspended.as_str()),
        Status::Revoked => Condition::equal("state", LicenseState::Revoked.as_str()),
    }
}

//! Statements of one search.
//!
//! The licenses that match are few or many, and no planner knows how many. So each filter with an index is
//! probed up to the limit of the count. If a filter has few licenses, those are read and sorted. Otherwise
//! licenses are read in the requested order until the page is full.

use license_core::limits;
use license_core::store::SearchQuery;
use sqlx::SqlStr;

use super::fragments::sql;
use super::search_conditions::{Condition, conditions, numbered};
use crate::sql::dialect::{Dialect, Value};
use crate::sql::rows::NEVER;

/// Licenses that are read before a search leaves the order to the planner.
const WINDOW: u32 = 5_000;
/// The columns of `licenses` that conditions use.
const COLUMNS: &str = "id, key_digest, state, product, plan, customer_email, customer_domain, external_id, \
    activated_at, at_limit, ends_at";

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
        let direction = if sort.is_descending() { "DESC" } else { "ASC" };
        let order = |end: &str, id: &str| {
            let by_end = if sort.is_by_end() { format!("{end} {direction}, ") } else { String::new() };
            format!("ORDER BY {by_end}{id} {direction}")
        };
        let select = match self.conditions.as_slice() {
            // The index of the only filter has the ids: no license need be read to sort them.
            [Condition { ids: Some(ids), is_exact: true, values: own, .. }]
                if source == Source::All && !sort.is_by_end() =>
            {
                // The limit keeps the planner from reading all licenses in the order of their ids instead.
                let limit = if ids.contains(" < ?") || ids.contains(" <= ?") {
                    format!(" LIMIT {}", i64::MAX)
                } else {
                    String::new()
                };
                let ids = numbered(&format!("{ids}{limit}"), own, &mut values);
                let after = self.after(&mut values);
                format!(
                    "SELECT id AS page_id, 0 AS page_end FROM (SELECT license_id AS id FROM ({ids}) AS found) \
                         AS licenses WHERE 1 = 1{after}"
                )
            }
            _ => {
                let from = self.from::<D>(source, &mut values);
                let after = self.after(&mut values);
                format!("SELECT licenses.id AS page_id, licenses.ends_at AS page_end FROM {from}{after}")
            }
        };
        let text = format!(
            "{details}({select} {} LIMIT $1 + 0) AS page CROSS JOIN licenses l \
             LEFT JOIN license_counters c ON c.license_id = l.id WHERE l.id = page.page_id {}",
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
    pub(super) fn from<D: Dialect>(&self, source: Source, values: &mut Vec<Value<'a>>) -> String {
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

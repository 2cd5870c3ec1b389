//! Statements of one search.
//!
//! A single filter is read in the order of its index. With several, the licenses that match are few or many,
//! and no planner knows how many. So each filter is probed up to the limit of the count. If a filter has few
//! licenses, those are read and sorted. Otherwise licenses are read in the requested order until the page is
//! full.

use license_core::limits;
use license_core::store::SearchQuery;
use sqlx::SqlStr;

use super::fragments::sql;
use super::search_conditions::{Condition, Order, Parts, conditions, numbered};
use crate::sql::dialect::{Dialect, Value};
use crate::sql::rows::NEVER;

/// Licenses that are read before a search leaves the order to the planner. Often the first window has a page.
pub(crate) const WINDOWS: [u32; 2] = [500, 5_000];
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
    /// The ids of the only filter.
    Ids,
    /// Those of the filter with this index, which has few.
    Filter(usize),
    /// So many next ones in the order of ids.
    Window(u32),
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

    /// Returns whether a probe of the only filter counts the licenses that match.
    pub(crate) fn is_counted_by_probe(&self) -> bool {
        self.conditions.len() == 1
    }

    /// Returns whether the ids of the only filter give the page: no license need be read to sort them.
    pub(crate) fn has_single_filter(&self) -> bool {
        self.conditions.len() == 1 && !self.is_unique() && !self.query.sort.is_by_end()
    }

    /// Returns whether an index has the order of the [only filter](Self::has_single_filter).
    pub(crate) fn is_ordered(&self) -> bool {
        self.has_single_filter() && !matches!(self.conditions[0].order, Order::None)
    }

    /// Returns whether a [window](Source::Window) can hold a page.
    pub(crate) fn has_window(&self) -> bool {
        !self.query.sort.is_by_end() && !self.conditions.is_empty()
    }

    /// Counts the licenses of each filter, up to the limit. The rows are in the order of the filters and have
    /// the column `n`.
    pub(crate) fn probe(&self) -> Option<(SqlStr, Vec<Value<'a>>)> {
        let (mut values, mut selects) = (Vec::new(), Vec::new());
        for (index, condition) in self.conditions.iter().enumerate() {
            let ids = numbered(&condition.ids, &condition.values, &mut values);
            let limit = limits::SEARCH_COUNT + 1;
            selects.push(format!(
                "SELECT {index} AS i, (SELECT COUNT(*) FROM ({ids} LIMIT {limit}) AS probed) AS n"
            ));
        }
        let text = format!("SELECT n FROM ({}) AS probes ORDER BY i", selects.join(" UNION ALL "));
        (!selects.is_empty()).then(|| (sql(text), values))
    }

    /// Selects a page. `details` selects its licenses.
    pub(crate) fn page<D: Dialect>(&self, details: &str, source: Source) -> (SqlStr, Vec<Value<'a>>) {
        let SearchQuery { sort, page, .. } = self.query;
        let mut values = vec![Value::from(i64::from(page.limit) + 1)];
        let direction = self.direction();
        let order = |end: &str, id: &str| {
            let by_end = if sort.is_by_end() { format!("{end} {direction}, ") } else { String::new() };
            format!("ORDER BY {by_end}{id} {direction}")
        };
        let select = if source == Source::Ids {
            self.page_of_ids::<D>(&mut values)
        } else {
            let from = self.from::<D>(source, &mut values);
            let after = self.after("licenses.id", &mut values);
            format!("SELECT licenses.id AS page_id, licenses.ends_at AS page_end FROM {from}{after}")
        };
        let text = format!(
            "{details}({select} {} LIMIT $1 + 0) AS page CROSS JOIN licenses l \
             LEFT JOIN license_counters c ON c.license_id = l.id WHERE l.id = page.page_id {}",
            order("licenses.ends_at", "licenses.id"),
            order("page.page_end", "page.page_id")
        );
        (sql(text), values)
    }

    /// Selects a page of the ids of the only filter.
    fn page_of_ids<D: Dialect>(&self, values: &mut Vec<Value<'a>>) -> String {
        let Condition { ids, values: own, order, .. } = &self.conditions[0];
        let Order::Parts(parts) = order else {
            // The limit keeps the planner from reading all licenses in the order of their ids instead.
            let all =
                if matches!(order, Order::None) { format!(" LIMIT {}", i64::MAX) } else { String::new() };
            let ids = numbered(&format!("{ids}{all}"), own, values);
            let after = self.after("licenses.id", values);
            return format!(
                "SELECT id AS page_id, 0 AS page_end FROM (SELECT license_id AS id FROM ({ids}) AS found) \
                 AS licenses WHERE 1 = 1{after}"
            );
        };
        let Parts { each, each_values, of_part, of_part_values, id } = parts;
        let direction = self.direction();
        let each = numbered(each, each_values, values);
        let mut first = |limit: &str| {
            let of_part = numbered(of_part, of_part_values, values);
            let after = self.after(id, values);
            format!("SELECT {id} FROM {of_part}{after} ORDER BY {id} {direction} LIMIT {limit}")
        };
        // The first n licenses are in the n parts that have the first of these licenses.
        let each = format!(
            "(SELECT part FROM (SELECT part, ({}) AS first FROM ({each}) AS found) AS found \
             WHERE first IS NOT NULL ORDER BY first {direction} LIMIT $1 + 0) AS found",
            first("1")
        );
        let from = D::looked_up(&each, "licenses", "id", &format!("licenses.id IN ({})", first("$1 + 0")));
        format!("SELECT DISTINCT licenses.id AS page_id, 0 AS page_end FROM {from}")
    }

    fn direction(&self) -> &'static str {
        if self.query.sort.is_descending() { "DESC" } else { "ASC" }
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
                let ids = numbered(ids, own, values);
                let limit = limits::SEARCH_COUNT + 1;
                looked_up(&format!("(SELECT DISTINCT license_id FROM ({ids} LIMIT {limit}) AS few) AS found"))
            }
            Source::Window(size) => {
                let after = self.after("licenses.id", values);
                let direction = self.direction();
                looked_up(&format!(
                    "(SELECT id AS license_id FROM licenses WHERE 1 = 1{after} ORDER BY id {direction} \
                     LIMIT {size}) AS found"
                ))
            }
            Source::All | Source::Ids => "licenses WHERE 1 = 1".to_owned(),
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

    /// The condition that skips earlier pages. `column` has the id.
    fn after(&self, column: &str, values: &mut Vec<Value<'a>>) -> String {
        let Some(cursor) = &self.query.page.after else { return String::new() };
        let sign = if self.query.sort.is_descending() { "<" } else { ">" };
        let id = cursor.id.as_str().into();
        if self.query.sort.is_by_end() {
            let end = cursor.expires_at.map_or(NEVER, |at| at.timestamp_micros()).into();
            let condition = format!(" AND (licenses.ends_at, licenses.id) {sign} (?, ?)");
            numbered(&condition, &[end, id], values)
        } else {
            numbered(&format!(" AND {column} {sign} ?"), &[id], values)
        }
    }
}

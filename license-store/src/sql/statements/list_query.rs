//! Statements that list a page of rows that match a filter.

use sqlx::SqlStr;

use super::fragments::sql;
use crate::sql::dialect::Value;

/// A page of a list. The statement has only the requested conditions, so that each can use an index.
pub(crate) struct ListQuery<'a> {
    conditions: String,
    /// The first one is the limit.
    values: Vec<Value<'a>>,
}

impl<'a> ListQuery<'a> {
    /// Starts a query of `limit + 1` rows: the last one shows that there is a next page.
    pub(crate) fn new(limit: u32) -> Self {
        Self { conditions: String::new(), values: vec![Value::from(i64::from(limit) + 1)] }
    }

    /// Adds a condition, with `?` for the value, if there is a value.
    pub(crate) fn filter(&mut self, condition: &str, value: Option<impl Into<Value<'a>>>) {
        if let Some(value) = value {
            self.values.push(value.into());
            self.conditions.push_str(" AND ");
            self.conditions.push_str(&condition.replace('?', &format!("${}", self.values.len())));
        }
    }

    /// Builds the statement. `select` must end with a condition.
    pub(crate) fn build(self, select: &str, order: &str) -> (SqlStr, Vec<Value<'a>>) {
        let Self { conditions, values } = self;
        (sql(format!("{select}{conditions} ORDER BY {order} LIMIT $1 + 0")), values)
    }
}

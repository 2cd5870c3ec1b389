//! A transaction that was decided before it began.

use sqlx::SqlStr;

use super::dialect::Dialect;
use super::statements::sql;

/// Statements of one transaction that read the same one or two parameters, JSON. Each but the first is to do something only where the one
/// before has changed a row. Where the driver takes them as one text, others wait no longer than they run: most of the time of
/// a short transaction goes into waking the driver's thread for one statement after the other.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) at_once: Option<SqlStr>,
    pub(super) each: Vec<SqlStr>,
    /// How many of the parameters each reads: PostgreSQL takes no others.
    pub(super) reads: Vec<usize>,
    /// Which of them gives the rows that are the answer.
    pub(super) answer: usize,
}

impl Chain {
    /// The statement whose number is `answer` says itself what it returns; the others return nothing.
    pub(super) fn new<D: Dialect>(statements: &[&str], answer: usize) -> Self {
        let says = |(n, statement): (usize, &&str)| {
            let silent = n == answer || n + 1 == statements.len();
            sql(if silent { (*statement).to_owned() } else { format!("{statement}{}", D::SAYS_CHANGED) })
        };
        Self {
            at_once: D::at_once(statements).map(sql),
            each: statements.iter().enumerate().map(says).collect(),
            reads: statements.iter().map(|statement| if statement.contains("$2") { 2 } else { 1 }).collect(),
            answer,
        }
    }
}

//! The result of a verification.

use std::fmt;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// The checks, in the order in which they ran.
    pub checks: Vec<Check>,
    /// The number of rows of each table; empty if the tables were not read.
    pub counts: Vec<(String, u64)>,
}

impl Verification {
    /// Returns whether no check found a fault.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failed().next().is_none()
    }

    /// Returns the checks that found faults.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| matches!(check.result, CheckResult::Failed { .. }))
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Short name, such as `slots`.
    pub name: &'static str,
    /// What holds if the check finds no fault.
    pub rule: &'static str,
    /// What the check found.
    pub result: CheckResult,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckResult {
    /// No fault.
    Ok,
    /// Nothing was checked, with the reason.
    Skipped(&'static str),
    /// Faults.
    Failed {
        /// How many.
        faults: u64,
        /// Some of them.
        examples: Vec<Fault>,
    },
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Id of what is wrong, such as a license.
    pub subject: String,
    /// What is wrong about it.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.problem)
    }
}

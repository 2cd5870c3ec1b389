//! The result of a check.

use license_verify::Decision;

use crate::state_error::StateError;

/// The result of a check.
#[derive(Debug)]
#[non_exhaustive]
pub struct Check {
    /// Whether the software may run, with its features.
    pub decision: Decision,
    /// Whether the client asked the server.
    pub asked: bool,
    /// Fields of the question that the server ignored. If there are any, the server is too old for this software, and
    /// its answer does not count.
    pub ignored: Vec<String>,
    /// What is wrong with the file of the state. The decision stands nevertheless.
    pub state_error: Option<StateError>,
}

impl Check {
    /// Returns whether the software may run.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.decision.outcome.is_allowed()
    }
}

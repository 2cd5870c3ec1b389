//! What the doctor found.

use serde_json::{Value, json};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Ok,
    /// Nothing was checked.
    Skipped,
    /// The server works, but somebody should look.
    Warning,
    /// The server does not start, or does not do what it should.
    Error,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The findings, one or more for each check.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<(&'static str, Status, String)>);

impl Findings {
    pub(super) fn ok(&mut self, check: &'static str, text: impl Into<String>) {
        self.0.push((check, Status::Ok, text.into()));
    }

    pub(super) fn skipped(&mut self, check: &'static str, text: impl Into<String>) {
        self.0.push((check, Status::Skipped, text.into()));
    }

    pub(super) fn warning(&mut self, check: &'static str, text: impl Into<String>) {
        self.0.push((check, Status::Warning, text.into()));
    }

    pub(super) fn error(&mut self, check: &'static str, text: impl Into<String>) {
        self.0.push((check, Status::Error, text.into()));
    }

    /// Returns the worst status.
    pub(super) fn worst(&self) -> Status {
        self.0.iter().map(|(_, status, _)| *status).max().unwrap_or(Status::Ok)
    }

    pub(super) fn to_text(&self) -> String {
        let line = |(check, status, text): &(_, Status, String)| {
            format!("{:<9}{check:<15}{text}\n", status.as_str())
        };
        self.0.iter().map(line).collect()
    }

    pub(super) fn to_json(&self) -> Value {
        let one = |(check, status, text): &(&str, Status, String)| json!({ "check": check, "status": status.as_str(), "message": text });
        let checks: Vec<_> = self.0.iter().map(one).collect();
        json!({ "status": self.worst().as_str(), "checks": checks })
    }
}

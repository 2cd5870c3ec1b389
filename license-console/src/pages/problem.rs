//! What is wrong with this node, and what to do about it.

use license_core::job::JobState;
use license_core::store::{HealthWarning, StreamState};

use crate::numbers::{counted, grouped};

/// Waiting validations from which the backlog is a problem: half of what the database accepts.
const BACKLOG: u64 = 250_000;

/// Something that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) what: String,
    pub(super) advice: String,
}

impl Problem {
    fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into() }
    }

    /// Returns all problems, the worst first.
    pub(super) fn all(
        answers: bool,
        stream: StreamState,
        warnings: &[HealthWarning],
        jobs: &[JobState],
        metric: impl Fn(&str) -> Option<u64>,
    ) -> Vec<Self> {
        let mut problems = Vec::new();
        if !answers {
            problems.push(Self::new(
                "The database does not answer.",
                "Check that it runs and that this machine can reach it. Known licenses are validated from memory \
                 meanwhile; changes fail.",
            ));
        }
        if stream == StreamState::Lost {
            problems.push(Self::new(
                "Changes of other nodes do not arrive.",
                "Check the connection to the database. This node connects again by itself, and reads licenses more \
                 often meanwhile.",
            ));
        }
        problems.extend(warnings.iter().map(|warning| Self::of_warning(*warning)));
        let number = |name| metric(name).unwrap_or_default();
        if number("journal_waiting") > BACKLOG {
            problems.push(Self::new(
                format!("{} validations are not counted yet.", grouped(number("journal_waiting"))),
                "Usage and counters are late. Look for a slow disk, or for long transactions in the database.",
            ));
        }
        if number("journal_rejected") > 0 {
            problems.push(Self::new(
                format!("{} cannot be read.", counted(number("journal_rejected"), "journal row")),
                "Such rows are kept in the table journal_rejected. The log of the server has the reason.",
            ));
        }
        if number("commit_dropped") > 0 {
            let dropped = counted(number("commit_dropped"), "validation");
            problems.push(Self::new(
                format!("This node answered {dropped} and lost the count."),
                "The database was down for too long. The answers were right; counters and usage are too low.",
            ));
        }
        problems.extend(jobs.iter().filter_map(Self::of_job));
        problems
    }

    fn of_warning(warning: HealthWarning) -> Self {
        match warning {
            HealthWarning::DiskFull => Self::new(
                "The disk of the database is full.",
                "Free space or enlarge the disk. Until then, nothing can be changed.",
            ),
            HealthWarning::ClockImplausible => Self::new(
                "The clock of this machine is implausible.",
                "Correct the clock. If it is right, run license-server clock accept. Until then, jobs that depend on \
                 the time are paused.",
            ),
            warning => Self::new(
                format!("The server warns: {warning}."),
                "The documentation of operations says what to do.",
            ),
        }
    }

    fn of_job(job: &JobState) -> Option<Self> {
        if !job.is_running {
            let advice = "Restart the server. The log of the server has the cause.";
            return Some(Self::new(format!("The job {} has ended.", job.name), advice));
        }
        let failure = job.failure.as_ref().filter(|_| job.is_failing)?;
        let advice = format!("It is repeated. The error is: {}", failure.error);
        Some(Self::new(format!("The job {} fails.", job.name), advice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_has_its_advice() {
        let none = |_: &str| None;
        let all = |answers, stream, warnings: &[HealthWarning], metric: &dyn Fn(&str) -> Option<u64>| {
            let found = Problem::all(answers, stream, warnings, &[], metric);
            found.into_iter().map(|problem| problem.what).collect::<Vec<_>>()
        };
        let fine = StreamState::Listening;
        assert!(all(true, fine, &[], &none).is_empty());
        assert_eq!(all(false, fine, &[], &none), ["The database does not answer."]);
        assert_eq!(all(true, StreamState::Lost, &[], &none), ["Changes of other nodes do not arrive."]);
        let warnings = [HealthWarning::DiskFull, HealthWarning::ClockImplausible];
        assert_eq!(
            all(true, fine, &warnings, &none),
            ["The disk of the database is full.", "The clock of this machine is implausible."]
        );
        for (name, value, what) in [
            ("journal_waiting", 250_001, Some("250,001 validations are not counted yet.")),
            ("journal_waiting", 250_000, None),
            ("journal_rejected", 1, Some("1 journal row cannot be read.")),
            ("journal_rejected", 2, Some("2 journal rows cannot be read.")),
            ("commit_dropped", 1, Some("This node answered 1 validation and lost the count.")),
            ("commit_dropped", 1_000, Some("This node answered 1,000 validations and lost the count.")),
        ] {
            let found = all(true, fine, &[], &|asked| (asked == name).then_some(value));
            assert_eq!(found.first().map(String::as_str), what, "{name} {value}");
        }
    }
}

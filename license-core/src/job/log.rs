//! What background jobs did last.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::clock::Clock;

/// What a background job of this process did last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobState {
    /// The name of the job.
    pub name: &'static str,
    /// Whether it still runs. A job ends at the shutdown of the engine, or if it panics.
    pub is_running: bool,
    /// The end of the last run that succeeded.
    pub succeeded_at: Option<DateTime<Utc>>,
    /// The last run that failed.
    pub failure: Option<JobFailure>,
    /// Whether the last run failed.
    pub is_failing: bool,
}

/// A run of a background job that failed. The job repeats it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobFailure {
    /// The time of the failure.
    pub at: DateTime<Utc>,
    /// The error.
    pub error: String,
}

/// What the background jobs of this process did last. Clones share everything.
#[derive(Clone, Debug)]
pub struct JobLog {
    clock: Arc<dyn Clock>,
    jobs: Arc<Mutex<BTreeMap<&'static str, JobState>>>,
}

impl JobLog {
    /// Creates an empty log.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, jobs: Arc::default() }
    }

    /// Adds a job that starts now.
    #[must_use]
    pub fn start(&self, name: &'static str) -> JobReport {
        let state = JobState { name, is_running: true, succeeded_at: None, failure: None, is_failing: false };
        self.jobs().insert(name, state);
        JobReport { log: Some(self.clone()), name }
    }

    /// Returns the jobs, ordered by name.
    #[must_use]
    pub fn states(&self) -> Vec<JobState> {
        self.jobs().values().cloned().collect()
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<&'static str, JobState>> {
        // A poisoned lock does not matter: each change is one assignment.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, name: &'static str, change: impl FnOnce(&mut JobState)) {
        if let Some(state) = self.jobs().get_mut(name) {
            change(state);
        }
    }
}

/// Takes the results of one job. When it is dropped, the job has ended.
///
/// The default report keeps nothing, for a job that runs without an engine.
#[derive(Debug, Default)]
pub struct JobReport {
    log: Option<JobLog>,
    name: &'static str,
}

impl JobReport {
    /// Notes that a run ended, with its result.
    pub fn ran<T, E: Display>(&self, result: &Result<T, E>) {
        let Some(log) = &self.log else { return };
        let at = log.clock.now();
        log.change(self.name, |state| {
            state.is_failing = result.is_err();
            match result {
                Ok(_) => state.succeeded_at = Some(at),
                Err(error) => state.failure = Some(JobFailure { at, error: error.to_string() }),
            }
        });
    }
}

impl Drop for JobReport {
    fn drop(&mut self) {
        if let Some(log) = &self.log {
            log.change(self.name, |state| state.is_running = false);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn last_success_and_last_failure_are_kept() {
        let clock = Arc::new(ManualClock::at("2026-03-06T14:00:00Z".parse().unwrap()));
        let log = JobLog::new(Arc::clone(&clock) as _);
        let report = log.start("expiry");
        let state = || log.states().remove(0);
        assert_eq!((state().name, state().is_running, state().is_failing), ("expiry", true, false));
        report.ran(&Ok::<_, &str>(()));
        clock.advance(TimeDelta::seconds(1));
        report.ran(&Err::<(), _>("the disk is full"));
        assert!(state().is_failing);
        assert_eq!(state().succeeded_at, Some("2026-03-06T14:00:00Z".parse().unwrap()));
        let failure = state().failure.unwrap();
        assert_eq!(failure.error, "the disk is full");
        assert_eq!(failure.at, "2026-03-06T14:00:01Z".parse::<DateTime<Utc>>().unwrap());
        clock.advance(TimeDelta::seconds(1));
        report.ran(&Ok::<_, &str>(()));
        assert!(!state().is_failing && state().failure.is_some());
        drop(report);
        assert!(!state().is_running);
    }
}

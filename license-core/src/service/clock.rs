//! Tells jobs whether the clock is plausible.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::clock_and_rng::ClockAndRng;
use crate::access::{Actor, AuditEntry};
use crate::clock::ClockGuard;
use crate::metrics::Metric;
use crate::store::{ClockStore, HealthWarning, HeartbeatChange, StoreError};

/// The clock of this machine beside the heartbeat of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockState {
    /// The time of this machine.
    pub now: DateTime<Utc>,
    /// The heartbeat; `None` in a new database.
    pub heartbeat: Option<DateTime<Utc>>,
    /// Whether the time is plausible.
    pub is_plausible: bool,
}

/// Guards the jobs that act on time: they take the time from [`plausible_now`](Self::plausible_now), and do
/// nothing while there is none. Clones share everything.
///
/// Every method returns the error of the store if that fails.
#[derive(Clone, Debug)]
pub struct ClockService {
    store: Arc<dyn ClockStore>,
    sources: Arc<ClockAndRng>,
    guard: Arc<Mutex<ClockGuard>>,
}

impl ClockService {
    /// Creates the service. The clock is implausible until the first [`look`](Self::look).
    pub fn new(store: Arc<dyn ClockStore>, sources: Arc<ClockAndRng>) -> Self {
        Self { store, sources, guard: Arc::default() }
    }

    fn guard(&self) -> MutexGuard<'_, ClockGuard> {
        // A poisoned lock does not matter: the guard is whole between two calls.
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time, whether it is plausible or not.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.sources.now()
    }

    /// Returns the time if the clock is plausible.
    #[must_use]
    pub fn plausible_now(&self) -> Option<DateTime<Utc>> {
        let mut guard = self.guard();
        let reading = self.sources.clock().reading();
        guard.observe(reading).then_some(reading.wall)
    }

    /// Compares the clock with the heartbeat of the database, and moves the heartbeat if it is due. Nodes
    /// call it every minute, and more often while it is implausible.
    pub async fn look(&self) -> Result<ClockState, StoreError> {
        let heartbeat = self.store.heartbeat().await?;
        let (now, due, is_plausible) = {
            let mut guard = self.guard();
            let reading = self.sources.clock().reading();
            let due = guard.look(reading, heartbeat);
            (reading.wall, due, guard.is_plausible())
        };
        if let Some(to) = due {
            let change = HeartbeatChange { from: heartbeat, to, audit: None };
            // A full disk must not keep the server from starting. The next look tries again.
            if matches!(self.store.move_heartbeat(&change).await, Ok(true)) {
                self.guard().heartbeat_moved(to);
            }
        }
        Ok(ClockState { now, heartbeat, is_plausible })
    }

    /// Returns how a node that starts now would see the clock. Changes nothing.
    pub async fn state(&self) -> Result<ClockState, StoreError> {
        let heartbeat = self.store.heartbeat().await?;
        let (mut guard, reading) = (ClockGuard::default(), self.sources.clock().reading());
        let _ = guard.look(reading, heartbeat);
        Ok(ClockState { now: reading.wall, heartbeat, is_plausible: guard.is_plausible() })
    }

    /// Accepts the clock of this machine: moves the heartbeat to now, with an audit entry. Nodes with this
    /// time resume their jobs at their next look. Returns the time.
    pub async fn accept(&self, by: &Actor) -> Result<DateTime<Utc>, StoreError> {
        loop {
            let from = self.store.heartbeat().await?;
            let to = self.sources.now();
            let audit = Some(AuditEntry::of_clock(from, to, by));
            if self.store.move_heartbeat(&HeartbeatChange { from, to, audit }).await? {
                self.look().await?;
                return Ok(to);
            }
        }
    }

    fn is_implausible(&self) -> bool {
        self.plausible_now().is_none() && self.guard().has_looked()
    }

    /// Returns the warning of an implausible clock.
    pub(super) fn warning(&self) -> Option<HealthWarning> {
        self.is_implausible().then_some(HealthWarning::ClockImplausible)
    }

    pub(super) fn metric(&self) -> Metric {
        let help = "1 if the clock is plausible, 0 if time-driven jobs are paused";
        Metric::gauge("clock_plausible", help, u64::from(!self.is_implausible()))
    }
}

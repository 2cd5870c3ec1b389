//! Metrics of a dispatcher.

use std::sync::atomic::{AtomicU64, Ordering};

use license_core::metrics::{Histogram, Metric, MetricValue};
use license_core::webhook::Settled;

/// Counters of this node since its start.
#[derive(Debug)]
pub(super) struct DispatcherMetrics {
    /// Attempts by [outcome](OUTCOMES).
    attempts: [AtomicU64; 4],
    pub(super) attempt_seconds: Histogram,
    running: AtomicU64,
    freed: AtomicU64,
}

const OUTCOMES: [&str; 4] = ["succeeded", "to_retry", "failed", "taken_over"];

/// Bounds up to the default timeout of an attempt.
const SECONDS: &[f64] =
    &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];

impl Default for DispatcherMetrics {
    fn default() -> Self {
        Self {
            attempts: Default::default(),
            attempt_seconds: Histogram::new(SECONDS),
            running: AtomicU64::new(0),
            freed: AtomicU64::new(0),
        }
    }
}

impl DispatcherMetrics {
    pub(super) fn settled(&self, settled: Settled) {
        let [succeeded, to_retry, failed, taken_over] = &self.attempts;
        let counter = match settled {
            Settled::Succeeded => succeeded,
            Settled::Retry(_) => to_retry,
            Settled::Failed => failed,
            Settled::Refused => taken_over,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_running(&self, count: usize) {
        self.running.store(count as u64, Ordering::Relaxed);
    }

    pub(super) fn add_freed(&self, count: u32) {
        self.freed.fetch_add(count.into(), Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> Vec<Metric> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = OUTCOMES.into_iter().zip(self.attempts.iter().map(count)).collect();
        vec![
            Metric {
                name: "webhook_attempts",
                help: "Delivery attempts by outcome",
                value: MetricValue::Counters { label: "outcome", counts },
            },
            Metric::histogram(
                "webhook_attempt_seconds",
                "Duration of delivery attempts",
                &self.attempt_seconds,
            ),
            Metric::counter(
                "webhook_stuck_deliveries",
                "Deliveries that were planned far in the future by a wrong clock, and were sent at once",
                &self.freed,
            ),
            Metric::gauge("webhook_under_way", "Delivery attempts that are running", count(&self.running)),
        ]
    }
}

//! What the dispatcher counts of its own work.

use std::sync::atomic::{AtomicU64, Ordering};

use license_core::delivery::{Attempt, Settled};
use license_core::figure::{Figure, FigureValue, Histogram};

/// Counted since the start, on this node.
#[derive(Debug)]
pub(super) struct Figures {
    succeeded: AtomicU64,
    to_retry: AtomicU64,
    failed: AtomicU64,
    taken_over: AtomicU64,
    attempt_seconds: Histogram,
    under_way: AtomicU64,
}

/// Up to the time of an attempt, and past it.
const SECONDS: &[f64] =
    &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];

impl Default for Figures {
    fn default() -> Self {
        Self {
            succeeded: AtomicU64::new(0),
            to_retry: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            taken_over: AtomicU64::new(0),
            attempt_seconds: Histogram::new(SECONDS),
            under_way: AtomicU64::new(0),
        }
    }
}

impl Figures {
    pub(super) fn attempted(&self, attempt: &Attempt) {
        self.attempt_seconds.observe_duration(attempt.duration);
    }

    pub(super) fn settled(&self, settled: Settled) {
        let counter = match settled {
            Settled::Succeeded => &self.succeeded,
            Settled::Retry(_) => &self.to_retry,
            Settled::Failed => &self.failed,
            Settled::Refused => &self.taken_over,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_under_way(&self, count: usize) {
        self.under_way.store(count as u64, Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> Vec<Figure> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = vec![
            ("succeeded", count(&self.succeeded)),
            ("to_retry", count(&self.to_retry)),
            ("failed", count(&self.failed)),
            ("taken_over", count(&self.taken_over)),
        ];
        vec![
            Figure {
                name: "webhook_attempts",
                help: "Attempts to deliver an event to an endpoint, by what became of the delivery",
                value: FigureValue::Counters { label: "outcome", counts },
            },
            Figure::histogram(
                "webhook_attempt_seconds",
                "How long attempts to deliver take",
                &self.attempt_seconds,
            ),
            Figure::gauge("webhook_under_way", "Attempts to deliver that run now", count(&self.under_way)),
        ]
    }
}

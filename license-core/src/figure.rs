//! Figures: what a store or a service counts of its own work, for those who watch over it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One figure, as of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name in snake case, the unit at the end where it has one: `cache_hits`, `commit_seconds`.
    pub name: &'static str,
    /// What it tells, as a phrase.
    pub help: &'static str,
    /// How much it is.
    pub value: FigureValue,
}

/// How much a figure is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FigureValue {
    /// Counted since the start; only grows.
    Counter(u64),
    /// Counted since the start, by the values of one label.
    Counters {
        /// The label.
        label: &'static str,
        /// How often each of its values.
        counts: Vec<(&'static str, u64)>,
    },
    /// As it is now.
    Gauge(u64),
    /// How a quantity is spread.
    Histogram {
        /// All that was observed, added up.
        sum: f64,
        /// How many fell between each bound and the one before; the last bound is infinite.
        buckets: Vec<(f64, u64)>,
    },
}

impl Figure {
    /// A figure that only grows.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str, value: &AtomicU64) -> Self {
        Self { name, help, value: FigureValue::Counter(value.load(Ordering::Relaxed)) }
    }

    /// A figure of now.
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, value: FigureValue::Gauge(value) }
    }

    /// A spread of figures.
    #[must_use]
    pub fn histogram(name: &'static str, help: &'static str, value: &Histogram) -> Self {
        Self { name, help, value: value.value() }
    }
}

/// Counts how a quantity is spread, from any number of threads.
///
/// ```
/// use license_core::figure::{FigureValue, Histogram};
/// let batch_sizes = Histogram::new(&[1.0, 10.0]);
/// for size in [1.0, 4.0, 50.0] {
///     batch_sizes.observe(size);
/// }
/// let FigureValue::Histogram { sum, buckets } = batch_sizes.value() else { unreachable!() };
/// assert_eq!((sum, buckets), (55.0, vec![(1.0, 1), (10.0, 1), (f64::INFINITY, 1)]));
/// ```
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Box<[AtomicU64]>,
    /// In millionths: to be added up without a lock it has to be whole.
    sum: AtomicU64,
}

impl Histogram {
    /// Seconds, from 50 µs to 10 s.
    pub const SECONDS: &'static [f64] = &[
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
        2.5, 5.0, 10.0,
    ];
    /// Numbers of things, from 1 to 4096.
    pub const SIZES: &'static [f64] =
        &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];

    /// An empty one with these upper bounds, in growing order.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts one.
    pub fn observe(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, and a sum of millionths has no use for parts"
        )]
        self.sum.fetch_add((value * 1e6) as u64, Ordering::Relaxed);
    }

    /// Counts one duration, in seconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }

    /// All of it, as of now.
    #[must_use]
    pub fn value(&self) -> FigureValue {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let sum = self.sum.load(Ordering::Relaxed) as f64 / 1e6;
        FigureValue::Histogram { sum, buckets: bounds.zip(counts).collect() }
    }
}

//! Metrics of stores and services, for monitoring.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A metric at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Name in snake case, with the unit at the end: `cache_hits`, `commit_seconds`.
    pub name: &'static str,
    /// Description.
    pub help: &'static str,
    /// Value.
    pub value: MetricValue,
}

/// The value of a metric.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MetricValue {
    /// A count since the start.
    Counter(u64),
    /// Counts since the start by the values of one label.
    Counters {
        /// The label.
        label: &'static str,
        /// The count for each value.
        counts: Vec<(&'static str, u64)>,
    },
    /// A current value.
    Gauge(u64),
    /// Current values by the values of two labels.
    Gauges {
        /// The labels.
        labels: [&'static str; 2],
        /// The value for each pair.
        values: Vec<([String; 2], u64)>,
    },
    /// A distribution.
    Histogram {
        /// Sum of all observations.
        sum: f64,
        /// Upper bounds and the counts between them; the last bound is infinite.
        buckets: Vec<(f64, u64)>,
    },
}

impl Metric {
    /// Creates a counter.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str, value: &AtomicU64) -> Self {
        Self { name, help, value: MetricValue::Counter(value.load(Ordering::Relaxed)) }
    }

    /// Creates a gauge.
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, value: MetricValue::Gauge(value) }
    }

    /// Creates a histogram.
    #[must_use]
    pub fn histogram(name: &'static str, help: &'static str, value: &Histogram) -> Self {
        Self { name, help, value: value.value() }
    }
}

/// Counts a distribution, from any number of threads.
///
/// ```
/// use license_core::metrics::{MetricValue, Histogram};
/// let batch_sizes = Histogram::new(&[1.0, 10.0]);
/// for size in [1.0, 4.0, 50.0] {
///     batch_sizes.observe(size);
/// }
/// let MetricValue::Histogram { sum, buckets } = batch_sizes.value() else { unreachable!() };
/// assert_eq!((sum, buckets), (55.0, vec![(1.0, 1), (10.0, 1), (f64::INFINITY, 1)]));
/// ```
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Box<[AtomicU64]>,
    /// In millionths, since atomic sums must be whole numbers.
    sum: AtomicU64,
}

impl Histogram {
    /// Bounds in seconds, from 50 µs to 10 s.
    pub const SECONDS: &'static [f64] = &[
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
        2.5, 5.0, 10.0,
    ];
    /// Bounds for counts, from 1 to 4096.
    pub const SIZES: &'static [f64] =
        &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];

    /// Creates an empty histogram with these ascending upper bounds.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, and fractions of millionths do not matter"
        )]
        self.sum.fetch_add((value * 1e6) as u64, Ordering::Relaxed);
    }

    /// Counts one duration in seconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }

    /// Returns the current distribution.
    #[must_use]
    pub fn value(&self) -> MetricValue {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        #[expect(clippy::cast_precision_loss, reason = "monitoring needs no exact sum")]
        let sum = self.sum.load(Ordering::Relaxed) as f64 / 1e6;
        MetricValue::Histogram { sum, buckets: bounds.zip(counts).collect() }
    }
}

//! Metrics of the process, with the names that Prometheus recommends.

use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, page_size, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// CPU time, memory and open files of this process at one moment.
#[derive(Debug)]
pub(super) struct ProcessMetrics {
    cpu_seconds: f64,
    resident_bytes: u64,
    threads: i64,
    open_fds: u64,
    /// `None` is no limit.
    max_fds: Option<u64>,
}

impl ProcessMetrics {
    /// Reads the metrics.
    ///
    /// # Errors
    /// Returns an error if `/proc` is not readable.
    pub(super) fn read() -> ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let max_fds = match process.limits()?.max_open_files.soft_limit {
            LimitValue::Value(limit) => Some(limit),
            LimitValue::Unlimited => None,
        };
        #[expect(clippy::cast_precision_loss, reason = "a count of ticks is far below 2^52")]
        let cpu_seconds = (stat.utime + stat.stime) as f64 / ticks_per_second() as f64;
        Ok(Self {
            cpu_seconds,
            resident_bytes: stat.rss * page_size(),
            threads: stat.num_threads,
            open_fds: process.fd_count()? as u64,
            max_fds,
        })
    }
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut encode = |name, help, unit: Option<&Unit>, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
        };
        let cpu = ConstCounter::new(self.cpu_seconds);
        encode("process_cpu", "CPU time in user and system mode", Some(&Unit::Seconds), &cpu)?;
        let memory = ConstGauge::new(self.resident_bytes);
        encode("process_resident_memory", "Resident memory", Some(&Unit::Bytes), &memory)?;
        encode("process_threads", "Threads", None, &ConstGauge::new(self.threads))?;
        encode("process_open_fds", "Open file descriptors", None, &ConstGauge::new(self.open_fds))?;
        if let Some(limit) = self.max_fds {
            encode(
                "process_max_fds",
                "Maximum number of open file descriptors",
                None,
                &ConstGauge::new(limit),
            )?;
        }
        Ok(())
    }
}

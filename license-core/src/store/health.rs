//! State of a store and of the layers in front of it.

use std::fmt;

use crate::metrics::Metric;
use crate::text_enum::text_enum;

text_enum! {
    /// A condition that needs the operator while the node keeps working. `/ready` lists the texts.
    #[non_exhaustive]
    HealthWarning {
        /// The disk of the database is full, so changes fail.
        DiskFull = "disk_full",
        /// The clock is implausible, so time-driven jobs are paused.
        ClockImplausible = "clock_implausible",
        /// Forwarding headers arrive from a peer that is not a trusted proxy.
        UntrustedProxy = "untrusted_proxy",
    }
}

/// Reports outages, warnings and metrics of a store, or of a cache or recorder in front of it.
pub trait StoreHealth: fmt::Debug + Send + Sync + 'static {
    /// Returns whether the database is known to be unreachable, so that answers come from memory. Does not
    /// block.
    fn is_down(&self) -> bool {
        false
    }

    /// Returns the conditions that need the operator. Does not block.
    fn warnings(&self) -> Vec<HealthWarning> {
        Vec::new()
    }

    /// Returns current metrics.
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }
}

//! State of a store and of the layers in front of it.

use std::fmt;

use crate::metrics::Metric;

/// Reports outages and metrics of a store, or of a cache or recorder in front of it.
pub trait StoreHealth: fmt::Debug + Send + Sync + 'static {
    /// Returns whether the database is known to be unreachable, so that answers come from memory. Does not
    /// block.
    fn is_down(&self) -> bool {
        false
    }

    /// Returns current metrics.
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }
}

//! Settings of a cache.

use std::time::Duration;

/// Settings of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// Memory for entries, in bytes. Sizes are estimates that include overhead; the cache takes at most a
    /// tenth more. A record larger than a shard of the cache is not cached.
    pub size: usize,
    /// An entry older than this is loaded again. As long as the store answers, this bounds how long a change
    /// of another node can go unnoticed, whatever happens to the change stream.
    pub ttl: Duration,
    /// A load that takes longer fails, and the store counts as down. Commands have no such deadline.
    pub deadline: Duration,
    /// While the store is down, entries up to this age are served. This bounds how long a revocation on a
    /// node that still reaches the store can go unnoticed on this one.
    pub outage: Duration,
}

impl Default for CacheOptions {
    /// 256 MiB, about 400,000 licenses with few activations.
    fn default() -> Self {
        Self {
            size: 256 << 20,
            ttl: Duration::from_mins(5),
            deadline: Duration::from_secs(1),
            outage: Duration::from_hours(1),
        }
    }
}

impl CacheOptions {
    /// Returns the options of a cache of API tokens: 8 MiB, about 14,000 tokens, otherwise the defaults.
    #[must_use]
    pub fn tokens() -> Self {
        Self { size: 8 << 20, ..Self::default() }
    }
}

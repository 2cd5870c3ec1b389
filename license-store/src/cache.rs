//! Read-through caches in front of a store.
//!
//! - [`Cache`]: licenses, in front of a [`LicenseStore`](license_core::store::LicenseStore).
//! - [`TokenCache`]: API tokens, in front of an [`AccessStore`](license_core::audit::AccessStore).
//!
//! Both answer from memory what they can, under the same rules:
//!
//! - A load that began before a change never puts the old value back.
//! - Callers that miss the same key wait for one load. A key that does not exist is a hit as well, for a few seconds.
//! - A change through the cache invalidates the entry before it is acknowledged. Changes of other nodes arrive by the change
//!   stream; while the stream is lost, entries older than five seconds are loaded again.
//! - While the store is down, stale entries are served for the time that [`CacheOptions::outage`] gives.
//!
//! Time is an argument: the `now` of each call decides how old an entry is.

mod entries;
mod in_flight;
mod license_cache;
mod read_through;
mod token_cache;

use std::time::Duration;

pub use license_cache::Cache;
pub use token_cache::TokenCache;

/// Limits of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// Memory for entries, in bytes. Entries are weighed by their estimated size, overhead included; the cache takes at most
    /// a tenth more. A record larger than a shard of the cache is not cached.
    pub size: usize,
    /// An entry older than this is loaded again. Bounds how long a change of another node can go unnoticed, whatever
    /// happens to the change stream, as long as the store answers.
    pub ttl: Duration,
    /// A load that takes longer fails, and the store counts as down. Commands wait for the store itself.
    pub deadline: Duration,
    /// While the store is down, entries up to this age are served. Bounds how long a revocation on a node that still reaches
    /// the store can go unnoticed here.
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

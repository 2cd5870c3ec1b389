//! Read-through caches in front of a store.
//!
//! - [`Cache`]: licenses, in front of a [`LicenseStore`](license_core::store::LicenseStore).
//! - [`TokenCache`]: API tokens, in front of a [`TokenStore`](license_core::store::TokenStore).
//!
//! Both follow the same rules:
//!
//! - A load that began before a change never stores the old value.
//! - Callers that miss the same key share one load. Unknown keys are cached for a few seconds.
//! - A change through the cache invalidates the entry before it is acknowledged. Changes of other nodes
//!   arrive on the change stream; while the stream is lost, entries older than five seconds are loaded again.
//! - While the store is down, stale entries are served for up to [`CacheOptions::outage`].

mod entries;
mod in_flight;
mod license_cache;
mod license_source;
mod options;
mod read_through;
mod source;
mod token_cache;

pub use license_cache::Cache;
pub use options::CacheOptions;
pub use token_cache::TokenCache;

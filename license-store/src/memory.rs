//! A store in memory.

mod audit;
mod audit_log;
mod bulk_jobs;
mod catalog;
mod clock;
mod data;
mod event_log;
mod events;
mod job_entry;
mod leases;
mod search;
mod signing_keys;
mod store;
mod tokens;
mod transfer;
mod usage;
mod usage_log;
mod webhooks;

#[cfg(all(test, feature = "conformance"))]
pub(crate) use data::Data;
pub use store::MemoryStore;

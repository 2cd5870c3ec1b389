//! Stores for the licensing engine.
//!
//! - [`memory::MemoryStore`]: the reference, in this process.
//! - [`sql::sqlite::SqliteStore`]: one file on one machine. Feature `sqlite`, on by default.
//! - [`sql::postgres::PostgresStore`]: one database, any number of nodes. Feature `postgres`.
//! - [`cache::Cache`]: a cache of licenses in front of a store; [`cache::TokenCache`]: a cache of API tokens.
//! - [`group_commit::GroupCommit`]: a store in front of a store, which commits many validations at once.
//! - [`local_feed::LocalFeed`]: tells what this process changes; for stores of your own.
//! - [`subscription::Subscription`]: what happened, as a stream, in process.
//! - [`sweeper::Sweeper`]: a task that tells of terms that end.
//! - [`forgetting::Forgetting`]: a task that removes usage which is not kept any longer.
//! - [`conformance`]: the suite that shows whether a store, of these or of your own, keeps the contract. Feature
//!   `conformance`.

pub mod cache;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod forgetting;
pub mod group_commit;
pub mod local_feed;
pub mod memory;
#[cfg(test)]
mod scripted;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;
pub mod subscription;
pub mod sweeper;

/// The guide for authors of stores, whose code runs as tests.
#[cfg(all(doctest, feature = "conformance"))]
#[doc = include_str!("../../docs/implementing-a-store.md")]
mod implementing_a_store {}

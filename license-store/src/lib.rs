//! Stores for the licensing engine, and the [`Engine`] that puts everything together.
//!
//! - [`Engine`] starts the services over a store, with a cache, group commit and background jobs.
//!   [`LicenseEngine`] is the part that needs only a [`LicenseStore`](license_core::LicenseStore).
//! - [`MemoryStore`] keeps everything in this process. `SqliteStore` is one file on one machine (feature
//!   `sqlite`, on by default). `PostgresStore` is one database for any number of nodes (feature `postgres`).
//! - [`Subscription`] reads events in this process.
//! - [`cache`], [`group_commit`] and [`jobs`] are the parts of the engine.
//! - [`local_feed::LocalFeed`] is a change stream for stores of your own. [`conformance`] tests every storage
//!   port of a store, and [`faults::FaultStore`] fails as a test says (feature `conformance`).

pub mod cache;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod engine;
#[cfg(feature = "conformance")]
pub mod faults;
pub mod group_commit;
pub mod jobs;
#[cfg(feature = "conformance")]
mod layer;
pub mod local_feed;
pub mod memory;
#[cfg(all(test, feature = "conformance"))]
mod mutants;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;
pub mod subscription;

pub use cache::CacheOptions;
pub use engine::{Engine, JobOptions, LicenseEngine};
pub use group_commit::{GroupCommitOptions, Recording};
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use sql::postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "sqlite")]
pub use sql::sqlite::SqliteStore;
pub use subscription::Subscription;

/// A result whose error is a `StoreError` by default.
type Result<T, E = license_core::store::StoreError> = std::result::Result<T, E>;

/// The guide for authors of stores, whose code runs as tests.
#[cfg(all(doctest, feature = "conformance"))]
#[doc = include_str!("../../docs/implementing-a-store.md")]
mod implementing_a_store {}

/// The page of the crate, whose code runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

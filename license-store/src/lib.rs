//! Stores for the licensing engine.
//!
//! - [`memory::MemoryStore`]: the reference, in this process.
//! - [`sql::sqlite::SqliteStore`]: one file on one machine. Feature `sqlite`, on by default.
//! - [`conformance`]: the suite that shows whether a store, of these or of your own, keeps the contract. Feature
//!   `conformance`.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sql;

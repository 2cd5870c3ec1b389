//! One store for SQL databases; a [`Dialect`] says what differs.

mod activations;
mod audit;
mod backlog;
mod bulk_jobs;
mod catalog;
mod clock;
mod command_queue;
mod commands;
mod compaction;
mod create;
mod database;
mod decisions;
mod dialect;
mod events;
mod fault;
pub(crate) mod feed;
mod inspection;
mod journal;
mod leases;
mod licenses;
mod migrations;
#[cfg(feature = "postgres")]
pub mod postgres;
mod prelude;
mod retry;
mod rows;
mod search;
mod signing_keys;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod statements;
mod store;
#[cfg(test)]
mod test_fixture;
mod tokens;
mod transfer;
mod trial_claims;
mod usage;
mod used_keys;
pub mod verify;
mod webhooks;

pub use dialect::{Dialect, Durability, SqlRow, Value};
pub use inspection::{InspectedContents, Inspection};
pub use migrations::OpenError;
pub use store::SqlStore;

//! The real binary, on real files, over real sockets: what a vendor runs.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected stops")]

#[path = "server/process.rs"]
mod process;

#[path = "server/edge.rs"]
mod edge;
#[path = "server/flood.rs"]
mod flood;
#[cfg(target_os = "linux")]
#[path = "server/full_disk.rs"]
mod full_disk;
#[path = "server/geography.rs"]
mod geography;
#[path = "server/lifecycle.rs"]
mod lifecycle;
#[path = "server/limits.rs"]
mod limits;
#[path = "server/postgres.rs"]
mod postgres;
#[path = "server/postgres_faults.rs"]
mod postgres_faults;
#[path = "server/secrets.rs"]
mod secrets;
#[path = "server/start.rs"]
mod start;
#[path = "server/storm.rs"]
#[expect(dead_code, reason = "the bench calls more of it")]
mod storm;
#[path = "server/tokens.rs"]
mod tokens;
#[path = "server/transfer.rs"]
mod transfer;
#[path = "server/webhooks.rs"]
mod webhooks;

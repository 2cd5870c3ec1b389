//! Tests of the server binary, with real files and sockets.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "server/process.rs"]
mod process;

#[cfg(unix)]
#[path = "server/backup.rs"]
mod backup;
#[path = "server/catalog.rs"]
mod catalog;
#[path = "server/client.rs"]
mod client;
#[cfg(target_os = "linux")]
#[path = "server/clock.rs"]
mod clock;
#[path = "server/config_file.rs"]
mod config_file;
#[path = "server/console.rs"]
mod console;
#[cfg(unix)]
#[path = "server/doctor.rs"]
mod doctor;
#[path = "server/failover.rs"]
mod failover;
#[path = "server/flood.rs"]
mod flood;
#[cfg(target_os = "linux")]
#[path = "server/full_disk.rs"]
mod full_disk;
#[path = "server/geography.rs"]
mod geography;
#[path = "server/healthcheck.rs"]
mod healthcheck;
#[path = "server/jobs.rs"]
mod jobs;
#[path = "server/leases.rs"]
mod leases;
#[path = "server/lifecycle.rs"]
mod lifecycle;
#[path = "server/limits.rs"]
mod limits;
#[path = "server/migration.rs"]
mod migration;
#[path = "server/network.rs"]
mod network;
#[path = "server/postgres.rs"]
mod postgres;
#[path = "server/postgres_faults.rs"]
mod postgres_faults;
#[path = "server/read_replica.rs"]
mod read_replica;
#[path = "server/secret_rotation.rs"]
mod secret_rotation;
#[path = "server/secrets.rs"]
mod secrets;
#[cfg(unix)]
#[path = "server/service_manager.rs"]
mod service_manager;
#[path = "server/signing_keys.rs"]
mod signing_keys;
#[path = "server/start.rs"]
mod start;
#[cfg(unix)]
#[path = "server/stopped_restore.rs"]
mod stopped_restore;
#[cfg(unix)]
#[path = "server/storage.rs"]
mod storage;
#[path = "server/tokens.rs"]
mod tokens;
#[path = "server/transfer.rs"]
mod transfer;
#[cfg(unix)]
#[path = "server/verify.rs"]
mod verify;
#[path = "server/webhook_faults.rs"]
#[expect(dead_code, reason = "the bench calls more of it")]
mod webhook_faults;
#[path = "server/webhooks.rs"]
mod webhooks;

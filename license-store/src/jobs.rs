//! Background jobs of the engine. Each is safe on any number of nodes at once.

mod anomalies;
mod bulk;
mod catalog;
mod clock;
mod expiry;
mod idle_devices;
mod key_formats;
mod leases;
mod reload;
mod retention;
mod rounds;
mod signing_keys;

pub use anomalies::AnomaliesJob;
pub use bulk::BulkJobsJob;
pub use catalog::CatalogJob;
pub use clock::ClockJob;
pub use expiry::ExpiryJob;
pub use idle_devices::IdleDevicesJob;
pub use key_formats::KeyFormatsJob;
pub use leases::{LeaseRetentionJob, ReturnedLeasesJob};
pub use retention::{
    AuditRetentionJob, BulkJobRetentionJob, EventRetentionJob, IdempotencyRetentionJob, SessionRetentionJob,
    UsageRetentionJob,
};
pub use signing_keys::SigningKeysJob;

#[cfg(test)]
mod tests;

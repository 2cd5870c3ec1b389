//! Background jobs of the engine. Each is safe on any number of nodes at once.

mod anomalies;
mod expiry;
mod idle_devices;
mod key_formats;
mod retention;
mod rounds;

pub use anomalies::Anomalies;
pub use expiry::Expiry;
pub use idle_devices::IdleDevices;
pub use key_formats::KeyFormats;
pub use retention::{AuditRetention, EventRetention, UsageRetention};

#[cfg(test)]
mod tests;

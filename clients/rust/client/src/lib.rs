#![doc = include_str!("../README.md")]

mod asynchronous;
mod background;
mod builder;
mod check;
mod client;
mod clock;
mod device;
mod error;
mod http;
mod lease;
mod license_key;
mod rfc3339;
mod state_error;
mod state_file;
mod state_store;

pub use background::BackgroundChecks;
pub use builder::ClientBuilder;
pub use check::Check;
pub use client::Client;
pub use device::Device;
pub use error::Error;
pub use license_verify::{
    Decision, FeatureValue, Features, Lease, Outcome, PublicKey, ReleaseCode, RequestCode,
};
pub use state_error::StateError;

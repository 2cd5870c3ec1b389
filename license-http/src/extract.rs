//! Extractors and request parsers. axum's own extractors answer in plain text and repeat what was sent.

mod accept;
mod body;
mod empty_body;
#[cfg(feature = "webhooks")]
pub(crate) mod endpoint_body;
mod fields;
mod header;
pub(crate) mod license_body;
mod path;
mod query;
mod target;
pub(crate) mod value;

pub(crate) use accept::preferred;
pub(crate) use body::JsonBytes;
pub(crate) use empty_body::NoContent;
pub(crate) use fields::Fields;
pub(crate) use header::{IdempotencyHeader, IfMatch};
pub(crate) use path::{ActivationPath, CustomerPath, LicensePath, TokenPath};
#[cfg(feature = "webhooks")]
pub(crate) use path::{DeliveryPath, EndpointPath};
pub(crate) use query::{NoQuery, Query};
#[cfg(feature = "webhooks")]
pub(crate) use target::EndpointTarget;
pub(crate) use target::LicenseCommand;

//! What handlers take from a request. Axum's own extractors answer in plain text and repeat what was sent.

mod accept;
mod ask;
mod body;
mod caller;
mod fields;
mod header;
mod path;
mod query;

pub(crate) use accept::preferred;
pub(crate) use ask::Ask;
#[cfg(feature = "webhooks")]
pub(crate) use ask::EndpointAsk;
pub(crate) use body::{JsonBytes, NoContent};
pub(crate) use caller::By;
pub(crate) use fields::Fields;
pub(crate) use header::{IdempotencyHeader, IfMatch};
pub(crate) use path::{ActivationPath, CustomerPath, LicensePath, TokenPath};
#[cfg(feature = "webhooks")]
pub(crate) use path::{DeliveryPath, EndpointPath};
pub(crate) use query::{NoQuery, Query};

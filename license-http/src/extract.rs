//! What handlers take from a request. Axum's own extractors answer in plain text and repeat what was sent.

mod ask;
mod body;
mod caller;
mod fields;
mod header;
mod path;
mod query;

pub(crate) use ask::Ask;
pub(crate) use body::{JsonBytes, NoContent};
pub(crate) use caller::By;
pub(crate) use fields::Fields;
pub(crate) use header::{IdempotencyHeader, IfMatch};
pub(crate) use path::{ActivationPath, CustomerPath, LicensePath, TokenPath};
pub(crate) use query::{NoQuery, Query};

//! Extractors and request parsers. Those of axum answer in plain text and repeat the input.

mod accept;
mod body;
mod fields;
pub(crate) mod grant;
mod header;
mod path;
mod prefer;
mod query;
mod unknown_name;
pub(crate) mod value;

pub(crate) use accept::preferred;
pub(crate) use body::read_json;
pub(crate) use fields::{Fields, NoBody, NoInput, ReasonBody, ReleaseBody};
pub(crate) use header::{IdempotencyHeader, IfMatch, LicenseCommand, NoIdempotencyKey};
pub(crate) use path::{
    ActivationPath, BlockPath, CustomerPath, JobPath, LicensePath, NamePath, SigningKeyPath, TokenPath,
};
#[cfg(feature = "webhooks")]
pub(crate) use path::{DeliveryPath, EndpointPath};
pub(crate) use prefer::prefers_lenient;
pub(crate) use query::{NoQuery, Query};
pub(crate) use unknown_name::UnknownName;

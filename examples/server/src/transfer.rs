//! `license-server export` and `license-server import`.

mod encoding;
mod export;
mod import;
mod messages;
mod table;
mod time_zone;

pub(crate) use export::{ExportArgs, export};
pub(crate) use import::{ImportArgs, import};

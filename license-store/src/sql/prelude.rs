//! Imports shared by the files of the store.

pub(super) use license_core::store::StoreError;
pub(super) use serde_json::json;

pub(super) use super::database::{Connection, Row, SqlDatabase, Tx};
pub(super) use super::dialect::{Dialect, Durability, Value, values};
pub(super) use super::retry::retry;
pub(super) use super::rows::{Reader, Rows, int, json_rows, micros};
pub(super) use crate::Result;

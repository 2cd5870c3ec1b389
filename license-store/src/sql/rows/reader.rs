//! Reads columns of a row, and says in errors which one is wrong.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use license_core::domain::DomainName;
use license_core::license::{Fingerprint, LicenseId};
use license_core::store::{BoxError, StoreError};
use license_core::usage::Country;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::Result;
use crate::sql::dialect::{SqlRow, Value};

/// A row of one table, and its name in errors.
pub(crate) struct Reader<'a, R> {
    pub(crate) row: &'a R,
    pub(crate) table: &'static str,
    /// If it is empty, an error has the id in the row.
    pub(crate) id: &'a str,
}

/// The rows of an answer.
pub(crate) struct Rows<R>(pub(crate) Vec<R>);

impl<R: SqlRow> Rows<R> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Iterates over the rows. `table` and `id` name a row in errors.
    pub(crate) fn iter<'a>(
        &'a self,
        table: &'static str,
        id: &'a str,
    ) -> impl Iterator<Item = Reader<'a, R>> + use<'a, R> {
        self.0.iter().map(move |row| Reader { row, table, id })
    }

    pub(crate) fn all<'a, T>(
        &'a self,
        table: &'static str,
        id: &'a str,
        mut read: impl FnMut(&Reader<'a, R>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.iter(table, id).map(|row| read(&row)).collect()
    }

    pub(crate) fn first<'a, T>(
        &'a self,
        table: &'static str,
        id: &'a str,
        read: impl FnOnce(&Reader<'a, R>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.iter(table, id).next().map(|row| read(&row)).transpose()
    }

    /// Reads a number from the only row; 0 if there is no row.
    pub(crate) fn count(&self, table: &'static str, column: &'static str) -> Result<u64> {
        Ok(self.first(table, "", |row| row.count(column))?.unwrap_or_default())
    }
}

impl<R: SqlRow> Reader<'_, R> {
    pub(crate) fn corrupt(&self, column: &'static str, source: impl Into<BoxError>) -> StoreError {
        let own = |column| self.row.text(column).ok().flatten();
        let own = || own("license_id").or_else(|| own("id")).unwrap_or_default();
        let id = if self.id.is_empty() { own() } else { self.id.to_owned() };
        StoreError::Corrupt { table: self.table, column, id, source: source.into() }
    }

    fn present<T>(&self, column: &'static str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.corrupt(column, "it is NULL, but must have a value"))
    }

    /// Reads a text that must be one of those that this version knows.
    pub(crate) fn known<T>(&self, column: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        self.parsed(column, |text| read(text).ok_or_else(|| unknown(text)))
    }

    /// Parses a value that was read from `column`.
    pub(crate) fn parse<T, V, E: Display>(
        &self,
        column: &'static str,
        value: V,
        parse: impl FnOnce(V) -> Result<T, E>,
    ) -> Result<T> {
        parse(value).map_err(|error| self.corrupt(column, error.to_string()))
    }

    /// Reads a text and parses it.
    pub(crate) fn parsed<T, E: Display>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T> {
        self.parse(column, self.text(column)?.as_str(), parse)
    }

    /// Reads a text that may be NULL, and parses it.
    pub(crate) fn maybe_parsed<T, E: Display>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>> {
        let text = self.maybe_text(column)?;
        text.map(|text| self.parse(column, text.as_str(), parse)).transpose()
    }

    /// Reads a text as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T> {
        self.parsed(column, |text| serde_json::from_str(text))
    }

    pub(crate) fn maybe_int(&self, column: &'static str) -> Result<Option<i64>> {
        self.row.int(column).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn int(&self, column: &'static str) -> Result<i64> {
        self.present(column, self.maybe_int(column)?)
    }

    pub(crate) fn count(&self, column: &'static str) -> Result<u64> {
        let value = self.int(column)?;
        self.parse(column, value, u64::try_from)
    }

    pub(crate) fn maybe_text(&self, column: &'static str) -> Result<Option<String>> {
        self.row.text(column).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String> {
        self.present(column, self.maybe_text(column)?)
    }

    pub(crate) fn maybe_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>> {
        self.row.bytes(column).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn bytes(&self, column: &'static str) -> Result<Vec<u8>> {
        self.present(column, self.maybe_bytes(column)?)
    }

    /// Reads 32 bytes.
    pub(crate) fn digest(&self, column: &'static str) -> Result<[u8; 32]> {
        let wrong = |bytes: Vec<u8>| self.corrupt(column, format!("it has {} bytes, not 32", bytes.len()));
        self.bytes(column)?.try_into().map_err(wrong)
    }

    pub(crate) fn maybe_time(&self, column: &'static str) -> Result<Option<DateTime<Utc>>> {
        self.maybe_int(column)?.map(|value| self.parse(column, value, time)).transpose()
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<DateTime<Utc>> {
        self.present(column, self.maybe_time(column)?)
    }

    pub(crate) fn license_id(&self, column: &'static str) -> Result<LicenseId> {
        self.parsed(column, LicenseId::parse)
    }

    pub(crate) fn maybe_domain(&self, column: &'static str) -> Result<Option<DomainName>> {
        self.maybe_parsed(column, DomainName::from_stored)
    }

    pub(crate) fn maybe_device(&self) -> Result<Option<Fingerprint>> {
        self.maybe_parsed("device", Fingerprint::parse)
    }

    pub(crate) fn maybe_country(&self) -> Result<Option<Country>> {
        self.maybe_parsed("country", |text| {
            Country::parse(text).ok_or_else(|| format!("{text:?} is not a country code of two letters"))
        })
    }
}

/// Says that a value is none of those that this version knows.
pub(crate) fn unknown(value: impl std::fmt::Debug) -> String {
    format!(
        "{value:?} is unknown to this version; if a later version wrote it, install that version, otherwise restore a backup"
    )
}

pub(crate) fn time(micros: i64) -> Result<DateTime<Utc>, &'static str> {
    DateTime::from_timestamp_micros(micros).ok_or("out of range")
}

/// A count as a signed number. It never overflows: at one per microsecond, that takes 292,000 years.
pub(crate) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn micros(time: Option<DateTime<Utc>>) -> Option<i64> {
    time.map(|time| time.timestamp_micros())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.filter_map(|half| char::from_digit(half.into(), 16)).collect()
}

pub(crate) fn json_rows(rows: impl Iterator<Item = serde_json::Value>) -> String {
    serde_json::Value::Array(rows.collect()).to_string()
}

/// Parameters as a JSON row, bytes in hex.
pub(crate) fn row_of<'a>(values: impl IntoIterator<Item = Value<'a>>) -> serde_json::Value {
    let json = |value| match value {
        Value::Int(value) => json!(value),
        Value::Text(value) => json!(value),
        Value::Bytes(value) => json!(value.map(hex)),
    };
    values.into_iter().map(json).collect()
}

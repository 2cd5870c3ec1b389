//! Table rows as licenses: maps columns to fields.

use std::collections::BTreeSet;

use chrono::{TimeZone, Utc};
use serde_json::Map;

use super::cell::value;
use super::zone::Zone;
use super::{ImportLineError, LicenseLine};
use crate::limits;

/// Fields that a column can map to, in addition to `metadata.NAME`.
const FIELDS: &str = "id, key, state, plan, customer_email, max_domains, max_devices, domains, devices, \
                      created_at, activated_at, expires_at, validation_count, last_validated_at, customer_name, \
                      external_id, \
                      updates_until";
/// Prefix of columns that map to metadata.
const METADATA: &str = "metadata.";

/// Maps the columns of a table to license fields, and sets fields for all rows.
///
/// ```
/// use license_core::transfer::Columns;
/// let columns = Columns::new(
///     &["License", "Mail", "Tier", "Note"],
///     &["License=key".to_owned(), "Mail=customer_email".to_owned(), "Note=metadata.note".to_owned()],
///     &["plan=starter".to_owned()],
/// )?;
/// assert_eq!(columns.left_out(), ["Tier"]);
/// assert!(columns.license(&["A-1", "dev@example.com", "gold", "of 2019"]).is_ok());
/// # Ok::<(), license_core::transfer::ColumnsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Columns {
    fields: Vec<Option<String>>,
    left_out: Vec<String>,
    set: Vec<(String, String)>,
    zone: Zone,
}

impl Columns {
    /// Maps the columns of a table with this header.
    ///
    /// `map` has items `COLUMN=FIELD`. Other columns map to the field of the same name, or are ignored.
    /// `set` has items `FIELD=VALUE` for all rows. Names match in any case, with spaces or hyphens for
    /// underscores.
    ///
    /// # Errors
    /// Returns [`ColumnsError`] if a mapping is invalid or a required field is missing.
    pub fn new(header: &[&str], map: &[String], set: &[String]) -> Result<Self, ColumnsError> {
        let pair = |text: &str, split: Option<(&str, &str)>, form: &str| match split {
            Some((left, right)) => Ok((left.trim().to_owned(), right.trim().to_owned())),
            None => Err(ColumnsError(format!("{text:?} has no =; write {form}"))),
        };
        let map = map.iter().map(|text| pair(text, text.rsplit_once('='), "COLUMN=FIELD"));
        let map = map.collect::<Result<Vec<_>, _>>()?;
        let set = set.iter().map(|text| pair(text, text.split_once('='), "FIELD=VALUE"));
        let set = set.collect::<Result<Vec<_>, _>>()?;
        let mut fields: Vec<_> = header.iter().map(|column| field(column)).collect();
        for (column, name) in &map {
            fields[find(header, column)?] = Some(known_field(name)?);
        }
        let set = set.into_iter().map(|(name, value)| Ok((known_field(&name)?, value)));
        let set = set.collect::<Result<Vec<_>, ColumnsError>>()?;
        let mut named = BTreeSet::new();
        for field in fields.iter().flatten().chain(set.iter().map(|(field, _)| field)) {
            if !named.insert(field.as_str()) {
                let how = "map one of its columns to metadata.NAME, or leave out --set";
                return Err(ColumnsError(format!("{field} is given twice: {how}")));
            }
        }
        let left_out = header.iter().zip(&fields).filter(|(_, field)| field.is_none());
        let left_out: Vec<_> = left_out.map(|(column, _)| column.trim().to_owned()).collect();
        for needed in ["plan", "customer_email"] {
            if !named.contains(needed) {
                let columns =
                    if left_out.is_empty() { String::new() } else { format!(" ({})", left_out.join(", ")) };
                let how = format!("map one{columns} with COLUMN={needed}, or set {needed} for all rows");
                return Err(ColumnsError(format!("no column is {needed}: {how}")));
            }
        }
        Ok(Self { fields, left_out, set, zone: Zone::new(Utc) })
    }

    /// Sets the time zone of dates, and of times without one. The default is UTC.
    #[must_use]
    pub fn time_zone(mut self, zone: impl TimeZone + Send + Sync + 'static) -> Self {
        self.zone = Zone::new(zone);
        self
    }

    /// Returns the ignored columns.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Parses a row. White space around cells, empty cells, and empty cells beyond the header are ignored.
    ///
    /// Limits can be `unlimited`, `expires_at` can be `never`, and times can be dates: a license and its updates
    /// window end at the end of their dates. `domains` are separated by commas, semicolons or white space, `devices` by
    /// semicolons or line ends.
    ///
    /// # Errors
    /// Returns [`ImportLineError`] with the name of the field.
    pub fn license(&self, row: &[&str]) -> Result<LicenseLine, ImportLineError> {
        if row.iter().map(|cell| cell.len()).sum::<usize>() > limits::IMPORT_LINE_BYTES {
            return Err(ImportLineError::too_long());
        }
        let used = row.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last + 1);
        if row.len() < self.fields.len() || used > self.fields.len() {
            let how = "check its separators and quotes";
            let (cells, columns) = (row.len(), self.fields.len());
            let why = format!("the row has {cells} cells, but the header has {columns}: {how}");
            return Err(ImportLineError::new(why));
        }
        let cells = self.fields.iter().zip(row).filter_map(|(field, cell)| Some((field.as_deref()?, *cell)));
        let set = self.set.iter().map(|(field, value)| (field.as_str(), value.as_str()));
        let (mut fields, mut metadata, mut notes) = (Map::new(), Map::new(), Vec::new());
        for (field, cell) in cells.chain(set) {
            let cell = cell.trim();
            if cell.is_empty() {
                continue;
            }
            match field.strip_prefix(METADATA) {
                Some(name) => metadata.insert(name.to_owned(), cell.into()),
                None => fields.insert(field.to_owned(), value(field, cell, &self.zone, &mut notes)?),
            };
        }
        if !metadata.is_empty() {
            fields.insert("metadata".to_owned(), metadata.into());
        }
        Ok(LicenseLine { notes, ..LicenseLine::read(&fields)? })
    }
}

/// Returns the index of the column with this name.
fn find(header: &[&str], name: &str) -> Result<usize, ColumnsError> {
    let named = |same: &dyn Fn(&str) -> bool| {
        let mut found = (0..header.len()).filter(|index| same(header[*index].trim()));
        (found.next(), found.next())
    };
    let exact = named(&|column| column == name);
    let found =
        if exact.0.is_some() { exact } else { named(&|column| simplified(column) == simplified(name)) };
    match found {
        (Some(index), None) => Ok(index),
        (Some(_), Some(_)) => {
            Err(ColumnsError(format!("the table has two columns {name:?}: rename one of them in its header")))
        }
        (None, _) => {
            let columns = header.iter().map(|column| column.trim()).collect::<Vec<_>>().join(", ");
            Err(ColumnsError(format!("the table has no column {name:?}; its columns are {columns}")))
        }
    }
}

fn simplified(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

/// Returns the field with this name.
fn field(name: &str) -> Option<String> {
    let name = name.trim();
    match name.get(..METADATA.len()).filter(|start| start.eq_ignore_ascii_case(METADATA)) {
        Some(start) => {
            Some(&name[start.len()..]).filter(|rest| !rest.is_empty()).map(|rest| [METADATA, rest].concat())
        }
        None => Some(simplified(name)).filter(|name| FIELDS.split(", ").any(|field| field == name)),
    }
}

fn known_field(name: &str) -> Result<String, ColumnsError> {
    field(name).ok_or_else(|| {
        ColumnsError(format!("{name:?} is not a field; fields are {FIELDS} and metadata.NAME"))
    })
}

/// The reason why the columns of a table cannot be mapped, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ColumnsError(String);

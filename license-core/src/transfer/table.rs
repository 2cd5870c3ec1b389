//! Table rows as licenses: maps columns to fields.

use serde_json::{Map, Value};

use super::{ImportLineError, LicenseLine};
use crate::limits;
use crate::usage::Day;

/// Fields that a column can map to, in addition to `metadata.NAME`.
const FIELDS: &str = "id, key, state, plan, customer_email, max_domains, max_devices, domains, devices, \
                      created_at, activated_at, expires_at, validation_count, last_validated_at";
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
}

impl Columns {
    /// Maps the columns of a table with this header.
    ///
    /// `map` has items `COLUMN=FIELD`. Other columns map to the field of the same name, or are ignored.
    /// `set` has items `FIELD=VALUE` for all rows.
    ///
    /// # Errors
    /// Returns [`ColumnsError`] if a mapping is invalid or a required field is missing.
    pub fn new(header: &[&str], map: &[String], set: &[String]) -> Result<Self, ColumnsError> {
        let pair = |text: &str, split: Option<(&str, &str)>| {
            let (left, right) = split.ok_or_else(|| {
                ColumnsError(format!("{text:?} has no =; write COLUMN=FIELD or FIELD=VALUE"))
            })?;
            Ok((left.to_owned(), right.to_owned()))
        };
        let mut map =
            map.iter().map(|text| pair(text, text.rsplit_once('='))).collect::<Result<Vec<_>, _>>()?;
        let set = set.iter().map(|text| pair(text, text.split_once('='))).collect::<Result<Vec<_>, _>>()?;
        let mut fields: Vec<Option<String>> = Vec::new();
        let mut left_out = Vec::new();
        for column in header {
            let mapped =
                map.iter().position(|(name, _)| name == column).map(|index| map.swap_remove(index).1);
            let field = mapped.or_else(|| is_field(column).then(|| (*column).to_owned()));
            if field.is_none() {
                left_out.push((*column).to_owned());
            }
            fields.push(field);
        }
        if let Some((column, _)) = map.into_iter().next() {
            return Err(ColumnsError(format!("the table has no column {column:?}")));
        }
        let mut named = Vec::new();
        for field in fields.iter().flatten().chain(set.iter().map(|(field, _)| field)) {
            if !is_field(field) {
                let known = format!("fields are {FIELDS} and metadata.NAME");
                return Err(ColumnsError(format!("{field:?} is not a field; {known}")));
            }
            if named.contains(&field) {
                return Err(ColumnsError(format!("{field} is given twice")));
            }
            named.push(field);
        }
        for needed in ["plan", "customer_email"] {
            if !named.iter().any(|field| *field == needed) {
                let how = format!("map one with COLUMN={needed}, or set it for all rows");
                return Err(ColumnsError(format!("no column is {needed}: {how}")));
            }
        }
        Ok(Self { fields, left_out, set })
    }

    /// Returns the ignored columns.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Parses a row. Empty cells are ignored.
    ///
    /// Limits can be `unlimited`, `expires_at` can be `never`, and times can be dates. `domains` are
    /// separated by commas, semicolons or spaces, `devices` by semicolons.
    ///
    /// # Errors
    /// Returns [`ImportLineError`] with the name of the field.
    pub fn license(&self, row: &[&str]) -> Result<LicenseLine, ImportLineError> {
        if row.iter().map(|cell| cell.len()).sum::<usize>() > limits::IMPORT_LINE_BYTES {
            return Err(ImportLineError::too_long());
        }
        if row.len() != self.fields.len() {
            let why = format!("it has {} cells, but the header has {}", row.len(), self.fields.len());
            return Err(ImportLineError::new(why));
        }
        let cells = self.fields.iter().zip(row).filter_map(|(field, cell)| Some((field.as_deref()?, *cell)));
        let set = self.set.iter().map(|(field, value)| (field.as_str(), value.as_str()));
        let (mut fields, mut metadata) = (Map::new(), Map::new());
        for (field, cell) in cells.chain(set) {
            let cell = if field == "key" { cell } else { cell.trim() };
            if cell.is_empty() {
                continue;
            }
            match field.strip_prefix(METADATA) {
                Some(name) => metadata.insert(name.to_owned(), cell.into()),
                None => fields.insert(field.to_owned(), value(field, cell)),
            };
        }
        if !metadata.is_empty() {
            fields.insert("metadata".to_owned(), metadata.into());
        }
        LicenseLine::read(fields)
    }
}

fn is_field(name: &str) -> bool {
    FIELDS.split(", ").any(|field| field == name)
        || name.strip_prefix(METADATA).is_some_and(|name| !name.is_empty())
}

/// Converts a cell to the value of a JSON line.
fn value(field: &str, cell: &str) -> Value {
    let list = |between: &[char]| {
        cell.split(between).map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect()
    };
    match field {
        "max_domains" | "max_devices" if cell.eq_ignore_ascii_case("unlimited") => Value::Null,
        "expires_at" if cell.eq_ignore_ascii_case("never") => Value::Null,
        "max_domains" | "max_devices" | "validation_count" => {
            cell.parse::<u64>().map_or_else(|_| cell.into(), Value::from)
        }
        "domains" => list(&[',', ';', ' ', '\t']),
        "devices" => list(&[';']),
        "state" => {
            let state = cell.to_ascii_lowercase();
            // Expiry follows from `expires_at`, not from the state.
            if state == "expired" { "active".into() } else { state.into() }
        }
        "created_at" | "activated_at" | "expires_at" | "last_validated_at" if Day::parse(cell).is_some() => {
            format!("{cell}T00:00:00Z").into()
        }
        _ => cell.into(),
    }
}

/// The reason why the columns of a table cannot be mapped, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ColumnsError(String);

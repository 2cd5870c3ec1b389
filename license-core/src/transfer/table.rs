//! Rows of a table as licenses: which column is which field.

use serde_json::{Map, Value};

use super::{ImportFault, LicenseLine};
use crate::limits;

/// The fields that a column may be; besides, `metadata.NAME`.
const FIELDS: [&str; 14] = [
    "id",
    "key",
    "state",
    "plan",
    "customer_email",
    "max_domains",
    "max_devices",
    "domains",
    "devices",
    "created_at",
    "activated_at",
    "expires_at",
    "validation_count",
    "last_validated_at",
];
/// What stands before the name of a key of the metadata.
const METADATA: &str = "metadata.";

/// Which column of a table is which field of a license, and what all rows have alike.
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
    /// Of a table with that header: columns that `map` names as `COLUMN=FIELD`, those that have the name of a field, and as `set`,
    /// `FIELD=VALUE`, what all rows have alike. Others are left out.
    ///
    /// # Errors
    /// [`ColumnsError`]
    pub fn new(header: &[&str], map: &[String], set: &[String]) -> Result<Self, ColumnsError> {
        let split = |text: &str| match text.rsplit_once('=') {
            Some((column, field)) => Ok((column.to_owned(), field.to_owned())),
            None => Err(ColumnsError::NoPair { text: text.to_owned() }),
        };
        let mut map = map.iter().map(|text| split(text)).collect::<Result<Vec<_>, _>>()?;
        let set = set
            .iter()
            .map(|text| match text.split_once('=') {
                Some((field, value)) => Ok((field.to_owned(), value.to_owned())),
                None => Err(ColumnsError::NoPair { text: text.clone() }),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut fields: Vec<Option<String>> = Vec::new();
        let mut left_out = Vec::new();
        for column in header {
            let mapped =
                map.iter().position(|(name, _)| name == column).map(|place| map.swap_remove(place).1);
            let field = mapped.or_else(|| is_field(column).then(|| (*column).to_owned()));
            if field.is_none() {
                left_out.push((*column).to_owned());
            }
            fields.push(field);
        }
        if let Some((column, _)) = map.into_iter().next() {
            return Err(ColumnsError::NoColumn { column });
        }
        let mut named = Vec::new();
        for field in fields.iter().flatten().chain(set.iter().map(|(field, _)| field)) {
            if !is_field(field) {
                return Err(ColumnsError::NoField { field: field.clone() });
            }
            if named.contains(&field) {
                return Err(ColumnsError::Twice { field: field.clone() });
            }
            named.push(field);
        }
        for needed in ["plan", "customer_email"] {
            if !named.iter().any(|field| *field == needed) {
                return Err(ColumnsError::Missing { field: needed });
            }
        }
        Ok(Self { fields, left_out, set })
    }

    /// The columns that no field has.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Reads a row. An empty cell says nothing. A number may be `unlimited`, `expires_at` may be `never`, times may be dates, `domains`
    /// has them with commas, semicolons or spaces between, `devices` with semicolons.
    ///
    /// # Errors
    /// [`ImportFault`], which names the field.
    pub fn license(&self, row: &[&str]) -> Result<LicenseLine, ImportFault> {
        if row.iter().map(|cell| cell.len()).sum::<usize>() > limits::IMPORT_LINE_BYTES {
            return Err(ImportFault::TooLong);
        }
        if row.len() != self.fields.len() {
            let why = format!("it has {} cells, and the header {}", row.len(), self.fields.len());
            return Err(ImportFault::Unreadable(why));
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
    FIELDS.contains(&name) || name.strip_prefix(METADATA).is_some_and(|name| !name.is_empty())
}

/// A cell as the value that a line of JSON would have.
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
            // The clock tells; it is not kept.
            if state == "expired" { "active".into() } else { state.into() }
        }
        "created_at" | "activated_at" | "expires_at" | "last_validated_at"
            if chrono::NaiveDate::parse_from_str(cell, "%Y-%m-%d").is_ok() =>
        {
            format!("{cell}T00:00:00Z").into()
        }
        _ => cell.into(),
    }
}

/// Why a table can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnsError {
    /// It is no pair with `=` between.
    #[error("{text:?} has no =")]
    NoPair {
        /// What it is.
        text: String,
    },
    /// The table has no such column.
    #[error("the table has no column {column:?}")]
    NoColumn {
        /// Its name.
        column: String,
    },
    /// A license has no such field.
    #[error("{field:?} is no field; known are {} and metadata.NAME", FIELDS.join(", "))]
    NoField {
        /// Its name.
        field: String,
    },
    /// Two columns are one field.
    #[error("{field} is told twice")]
    Twice {
        /// Its name.
        field: String,
    },
    /// No column is a field that each license needs.
    #[error("no column is {field}: name one with COLUMN={field}, or set it for all")]
    Missing {
        /// Its name.
        field: &'static str,
    },
}

//! Errors of the lines of an import.

use std::fmt::Display;

use serde_json::Value;

use crate::limits;

/// The reason why a line is not imported, for people. Never repeats a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImportLineError(String);

/// The number of the rejected line of an activation or lease, or `None` for the line of the license, and the
/// error.
pub(crate) type Rejection = (Option<u64>, ImportLineError);

impl ImportLineError {
    /// Creates an error with this message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    pub(crate) fn field(field: impl Display, why: impl Display) -> Self {
        Self(format!("{field}: {why}"))
    }

    /// Creates the error of a value. Shows the value, unless it can be a key or is a list.
    pub(crate) fn value(field: &str, value: &Value, why: impl Display) -> Self {
        /// Longer values are cut.
        const SHOWN_CHARS: usize = 60;
        let shown = match value {
            _ if matches!(field, "key" | "sealed_key") => None,
            Value::String(text) => match text.char_indices().nth(SHOWN_CHARS) {
                Some((end, _)) => Some(format!("{:?}…", &text[..end])),
                None => Some(format!("{text:?}")),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            Value::Array(_) | Value::Object(_) => None,
        };
        match shown {
            Some(shown) => Self(format!("{field} {shown}: {why}")),
            None => Self::field(field, why),
        }
    }

    pub(crate) fn too_long() -> Self {
        Self(format!("the line is longer than {} bytes", limits::IMPORT_LINE_BYTES))
    }

    pub(crate) fn too_many_activations() -> Self {
        Self(format!("the license has more than {} activations and leases", limits::IMPORT_ACTIVATIONS))
    }

    /// Creates the error of a line that repeats a value of an earlier line, which must be unique.
    pub(crate) fn same_as(line: u64, what: &str) -> Self {
        Self(format!("same {what} as line {line}: remove one of the two lines"))
    }
}

impl serde::de::Error for ImportLineError {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::field(field, "it is required, but missing")
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::field(field, "there is no such field; correct its name, or remove it")
    }
}

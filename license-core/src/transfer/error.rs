//! Errors of the lines of an import.

use std::fmt::Display;

use crate::limits;
use crate::validation::Denial;

/// The reason why a line is not imported, for people. Never repeats a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImportLineError(String);

impl ImportLineError {
    /// Creates an error with this message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    pub(crate) fn field(field: impl Display, why: impl Display) -> Self {
        Self(format!("{field}: {why}"))
    }

    pub(crate) fn too_long() -> Self {
        Self(format!("the line has more than {} bytes", limits::IMPORT_LINE_BYTES))
    }

    pub(crate) fn too_many_activations() -> Self {
        Self(format!("the license has more than {} activations", limits::IMPORT_ACTIVATIONS))
    }
}

impl From<Denial> for ImportLineError {
    fn from(denial: Denial) -> Self {
        Self(denial.to_string())
    }
}

impl serde::de::Error for ImportLineError {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::field(field, "it is missing")
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::field(field, "unknown field")
    }
}

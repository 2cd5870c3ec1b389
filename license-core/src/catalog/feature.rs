//! Features of plans.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits;

/// The value of one feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FeatureValue {
    /// On or off.
    Bool(bool),
    /// A number, such as a quota.
    Integer(i64),
    /// A text, such as a tier.
    String(String),
}

impl FeatureValue {
    /// Returns the value if it is on or off.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// Returns the value if it is a number.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Integer(value) = self { Some(*value) } else { None }
    }

    /// Returns the value if it is a text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(value) = self { Some(value) } else { None }
    }

    /// Returns whether the feature is there: not `false` and not 0.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !matches!(self, Self::Bool(false) | Self::Integer(0))
    }

    pub(crate) fn check(&self) -> Result<(), FeatureValueError> {
        let is_valid = |text: &str| text.len() <= limits::FEATURE_TEXT_BYTES && !text.contains('\0');
        if self.as_str().is_none_or(is_valid) { Ok(()) } else { Err(FeatureValueError) }
    }
}

/// The text of a feature is too long, or has a NUL character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the text of a feature can have at most {} bytes, without NUL characters",
    limits::FEATURE_TEXT_BYTES
)]
pub struct FeatureValueError;

impl From<bool> for FeatureValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for FeatureValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for FeatureValue {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

/// Features by name.
pub type Features = BTreeMap<String, FeatureValue>;

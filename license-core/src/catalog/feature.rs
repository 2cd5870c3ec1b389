//! Features of plans.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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

//! Features.

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

impl FeatureValue {
    /// Returns whether the feature is there: not `false` and not 0.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !matches!(self, Self::Bool(false) | Self::Integer(0))
    }
}

/// Features by name.
pub type Features = BTreeMap<String, FeatureValue>;

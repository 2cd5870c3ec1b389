//! Slots that a plan admits beyond the limits of a license.

use serde::{Deserialize, Serialize};

/// How many more slots validations can take beyond the limits of a license. Answers then say that the license
/// is over its limit. The sum is the hard limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OverLimit {
    /// Devices.
    pub devices: u32,
    /// Domains.
    pub domains: u32,
}

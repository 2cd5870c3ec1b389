//! Values that a license has apart from its plan.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::catalog::{Limit, Plan};

/// The limits that were set on the license itself because they differ from its plan version. They stay if a job
/// moves the license to a newer version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Whether the domain limit does not follow the plan.
    pub max_domains: bool,
    /// Whether the device limit does not follow the plan.
    pub max_devices: bool,
}

impl Overrides {
    /// Returns which limits are not those of the plan.
    pub(crate) fn of(plan: &Plan, max_domains: Limit, max_devices: Limit) -> Self {
        Self { max_domains: max_domains != plan.max_domains, max_devices: max_devices != plan.max_devices }
    }

    /// Returns the names of these limits.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let Self { max_domains, max_devices } = self;
        let all = [("max_domains", max_domains), ("max_devices", max_devices)];
        all.into_iter().filter_map(|(name, is_set)| is_set.then_some(name)).collect()
    }
}

/// The list of names, as in databases and exports.
impl Serialize for Overrides {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.names().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Overrides {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut overrides = Self::default();
        for name in Vec::<String>::deserialize(deserializer)? {
            match name.as_str() {
                "max_domains" => overrides.max_domains = true,
                "max_devices" => overrides.max_devices = true,
                _ => return Err(D::Error::custom("it must be a list of max_domains and max_devices")),
            }
        }
        Ok(overrides)
    }
}

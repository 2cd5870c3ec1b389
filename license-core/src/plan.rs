//! Plans and the plan catalog.

#[cfg(feature = "plan-files")]
mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::limits;

/// A limit on slots for domains or devices. In JSON a whole number, or `null` for unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// No limit; JSON `null`.
    Unlimited,
    /// A maximum; 0 allows none.
    AtMost(u32),
}

impl Limit {
    /// Returns whether one more fits if `used` are in use.
    #[must_use]
    pub fn admits_one_more(self, used: u64) -> bool {
        match self {
            Self::Unlimited => true,
            Self::AtMost(limit) => used < u64::from(limit),
        }
    }

    /// Returns the number, or `None` for unlimited, as in databases and JSON.
    #[must_use]
    pub fn as_number(self) -> Option<u32> {
        match self {
            Self::Unlimited => None,
            Self::AtMost(limit) => Some(limit),
        }
    }
}

impl From<Option<u32>> for Limit {
    fn from(number: Option<u32>) -> Self {
        number.map_or(Self::Unlimited, Self::AtMost)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::AtMost(limit) => limit.fmt(f),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_number().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Option::<u32>::deserialize(deserializer)?;
        match number {
            Some(number) if number > limits::MAX_SLOTS => Err(serde::de::Error::custom(format_args!(
                "a limit must be at most {}, or null for unlimited",
                limits::MAX_SLOTS,
            ))),
            number => Ok(number.into()),
        }
    }
}

/// Whether an unregistered domain can take a free slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainPolicy {
    /// A new domain takes a free slot on first use.
    #[default]
    FreeClaim,
    /// Only domains that an admin registered are allowed; others are `DOMAIN_NOT_ALLOWED`.
    RegisteredOnly,
}

/// What happens to a new device if no slot is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DevicePolicy {
    /// The device is denied: `DEVICE_LIMIT_REACHED`.
    #[default]
    Deny,
    /// The device takes the slot of the least recently seen device.
    EvictOldest,
}

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

/// The terms of licenses of one kind.
///
/// ```
/// use license_core::plan::{DomainPolicy, Limit, Plan};
/// let plan = Plan::new("professional")
///     .max_domains(Limit::AtMost(3))
///     .term_days(Some(365))
///     .feature("api", true)
///     .feature("seats", 25);
/// assert_eq!(plan.max_devices, Limit::Unlimited);
/// assert_eq!(plan.domain_policy, DomainPolicy::FreeClaim);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The name on licenses and in JSON: 1 to 64 of `a–z 0–9 _ -`.
    pub name: String,
    /// Domain limit of new licenses.
    pub max_domains: Limit,
    /// Device limit of new licenses.
    pub max_devices: Limit,
    /// Days until a new license expires, and days that a renewal adds; `None` is perpetual.
    pub term_days: Option<u32>,
    /// Days after `expires_at` during which validations stay valid.
    pub grace_days: u32,
    /// Whether unregistered domains can take a slot.
    pub domain_policy: DomainPolicy,
    /// Whether development hosts such as `localhost` and `*.test` are allowed and never counted.
    pub exempt_hosts: bool,
    /// What happens to a new device if no slot is free.
    pub device_policy: DevicePolicy,
    /// Days after which an unseen device loses its slot; `None` is never.
    pub idle_days: Option<u32>,
    /// Whether customers can free slots with the license key alone.
    pub customer_release: bool,
    /// Countries per day beyond which `license.unusual_usage` is emitted; `None` is never.
    pub max_countries_per_day: Option<u32>,
    /// Devices per day beyond which `license.unusual_usage` is emitted; `None` is never.
    pub max_devices_per_day: Option<u32>,
    /// Features for the licensed software.
    pub features: Arc<Features>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)+) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $field(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        })+
    };
}

impl Plan {
    /// Creates a plan without limits and features: perpetual, free claim, exempt hosts, no customer release.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            max_domains: Limit::Unlimited,
            max_devices: Limit::Unlimited,
            term_days: None,
            grace_days: 0,
            domain_policy: DomainPolicy::default(),
            exempt_hosts: true,
            device_policy: DevicePolicy::default(),
            idle_days: None,
            customer_release: false,
            max_countries_per_day: None,
            max_devices_per_day: None,
            features: Arc::default(),
        }
    }

    setters! {
        /// Sets the domain limit.
        max_domains: Limit,
        /// Sets the device limit.
        max_devices: Limit,
        /// Sets the term in days; `None` is perpetual.
        term_days: Option<u32>,
        /// Sets the grace period in days.
        grace_days: u32,
        /// Sets the domain policy.
        domain_policy: DomainPolicy,
        /// Sets whether development hosts are exempt.
        exempt_hosts: bool,
        /// Sets what happens to a new device if no slot is free.
        device_policy: DevicePolicy,
        /// Sets the days after which an unseen device loses its slot; `None` is never.
        idle_days: Option<u32>,
        /// Sets whether customers can free slots.
        customer_release: bool,
        /// Sets the usual number of countries per day; `None` is any.
        max_countries_per_day: Option<u32>,
        /// Sets the usual number of devices per day; `None` is any.
        max_devices_per_day: Option<u32>,
    }

    /// Adds or replaces a feature.
    #[must_use]
    pub fn feature(mut self, name: impl Into<String>, value: impl Into<FeatureValue>) -> Self {
        Arc::make_mut(&mut self.features).insert(name.into(), value.into());
        self
    }

    /// Returns the term; `None` is perpetual.
    #[must_use]
    pub fn term(&self) -> Option<TimeDelta> {
        self.term_days.map(|days| TimeDelta::days(days.into()))
    }

    /// Returns whether the plan defines unusual usage.
    #[must_use]
    pub fn watches_usage(&self) -> bool {
        self.max_countries_per_day.is_some() || self.max_devices_per_day.is_some()
    }

    /// Returns the time after which an unseen device loses its slot; `None` is never.
    #[must_use]
    pub fn idle(&self) -> Option<TimeDelta> {
        self.idle_days.map(|days| TimeDelta::days(days.into()))
    }

    /// Returns the grace period.
    #[must_use]
    pub fn grace(&self) -> TimeDelta {
        TimeDelta::days(self.grace_days.into())
    }

    fn check(&self) -> Result<(), PlanCatalogError> {
        let bad = |reason: String| PlanCatalogError::Plan { plan: self.name.clone(), reason };
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if self.name.is_empty()
            || self.name.len() > limits::PLAN_NAME_BYTES
            || !self.name.chars().all(allowed)
        {
            return Err(bad(format!(
                "the name of a plan must be 1 to {} of a–z, 0–9, _ and -",
                limits::PLAN_NAME_BYTES
            )));
        }
        for (name, limit) in [("max_domains", self.max_domains), ("max_devices", self.max_devices)] {
            if limit.as_number().is_some_and(|number| number > limits::MAX_SLOTS) {
                return Err(bad(format!("{name} must be at most {}", limits::MAX_SLOTS)));
            }
        }
        if self.term_days.is_some_and(|days| days == 0 || days > limits::PLAN_DAYS) {
            return Err(bad(format!("term_days must be 1 to {}", limits::PLAN_DAYS)));
        }
        if self.grace_days > limits::PLAN_DAYS {
            return Err(bad(format!("grace_days must be at most {}", limits::PLAN_DAYS)));
        }
        if self.idle_days.is_some_and(|days| days == 0 || days > limits::PLAN_DAYS) {
            return Err(bad(format!("idle_days must be 1 to {}", limits::PLAN_DAYS)));
        }
        for (name, most) in [
            ("max_countries_per_day", self.max_countries_per_day),
            ("max_devices_per_day", self.max_devices_per_day),
        ] {
            if most.is_some_and(|most| most == 0 || most > limits::MAX_SLOTS) {
                return Err(bad(format!("{name} must be 1 to {}", limits::MAX_SLOTS)));
            }
        }
        if self.features.len() > limits::PLAN_FEATURES {
            return Err(bad(format!("a plan can have at most {} features", limits::PLAN_FEATURES)));
        }
        Ok(())
    }
}

/// The plans that licenses can have, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanCatalog {
    plans: BTreeMap<String, Arc<Plan>>,
}

impl PlanCatalog {
    /// Creates a catalog.
    ///
    /// # Errors
    /// Returns [`PlanCatalogError`] if there is no plan, a name occurs twice, or a plan is invalid.
    pub fn new(plans: impl IntoIterator<Item = Plan>) -> Result<Self, PlanCatalogError> {
        let mut by_name = BTreeMap::new();
        for plan in plans {
            plan.check()?;
            let name = plan.name.clone();
            if by_name.insert(name.clone(), Arc::new(plan)).is_some() {
                return Err(PlanCatalogError::Plan { plan: name, reason: "it occurs twice".to_owned() });
            }
        }
        if by_name.is_empty() {
            return Err(PlanCatalogError::Empty);
        }
        Ok(Self { plans: by_name })
    }

    /// Returns the built-in plans, each for 365 days: starter (1 domain, 2 devices), professional (3
    /// domains, 10 devices) and enterprise (unlimited).
    ///
    /// # Panics
    /// Never: the plans are constants.
    #[must_use]
    pub fn standard() -> Self {
        let year = |name: &str| Plan::new(name).term_days(Some(365));
        Self::new([
            year("starter")
                .max_domains(Limit::AtMost(1))
                .max_devices(Limit::AtMost(2))
                .feature("api", false)
                .feature("support", "community"),
            year("professional")
                .max_domains(Limit::AtMost(3))
                .max_devices(Limit::AtMost(10))
                .grace_days(7)
                .feature("api", true)
                .feature("support", "email"),
            year("enterprise")
                .grace_days(14)
                .feature("api", true)
                .feature("sso", true)
                .feature("support", "priority"),
        ])
        .expect("constant plans are in bounds")
    }

    /// Returns the plan with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Plan>> {
        self.plans.get(name)
    }

    /// Returns all plans, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        self.plans.values().map(AsRef::as_ref)
    }
}

/// The reason why a catalog is invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanCatalogError {
    /// The catalog is empty.
    #[error("a catalog needs at least one plan")]
    Empty,
    /// A plan is invalid.
    #[error("plan {plan:?}: {reason}")]
    Plan {
        /// The name of the plan.
        plan: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is not TOML, or not a catalog.
    #[cfg(feature = "plan-files")]
    #[error("{0}")]
    Toml(Box<toml::de::Error>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_catalog_has_three_plans() {
        let names: Vec<_> = PlanCatalog::standard().iter().map(|plan| plan.name.clone()).collect();
        assert_eq!(names, ["enterprise", "professional", "starter"]);
    }

    #[test]
    fn limit_is_a_number_or_null() {
        assert_eq!(serde_json::to_string(&[Limit::AtMost(3), Limit::Unlimited]).unwrap(), "[3,null]");
        let read = |text: &str| serde_json::from_str::<Limit>(text);
        assert_eq!(read("0").unwrap(), Limit::AtMost(0));
        assert_eq!(read("null").unwrap(), Limit::Unlimited);
        assert!(read(&limits::MAX_SLOTS.to_string()).is_ok());
        for refused in ["10000001", "-1", "1.5", "\"3\"", "true"] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }
}

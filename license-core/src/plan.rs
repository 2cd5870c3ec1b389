//! Plans: what a license of each kind allows, and the catalog of them.

#[cfg(feature = "plan-files")]
mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::limits;

/// How many slots there are, of domains or of devices.
///
/// As JSON: a whole number, or `null` for unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// No limit; JSON `null`.
    Unlimited,
    /// At most so many; 0 admits none.
    AtMost(u32),
}

impl Limit {
    /// Whether one more is admitted where `used` are in use.
    #[must_use]
    pub fn admits_one_more(self, used: u64) -> bool {
        match self {
            Self::Unlimited => true,
            Self::AtMost(limit) => used < u64::from(limit),
        }
    }

    /// The number, or `None` for unlimited: the form of databases and JSON.
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
                "a limit is at most {}, or null for unlimited",
                limits::MAX_SLOTS
            ))),
            number => Ok(number.into()),
        }
    }
}

/// Whether a domain that nobody registered may take a free slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainPolicy {
    /// A new domain takes a free slot on first use.
    #[default]
    FreeClaim,
    /// Only domains that an admin registered; others are `DOMAIN_NOT_ALLOWED`.
    RegisteredOnly,
}

/// What becomes of a new device where no slot is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DevicePolicy {
    /// It is denied: `DEVICE_LIMIT_REACHED`.
    #[default]
    Deny,
    /// It takes the slot of the device that was not seen for the longest.
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

/// Features by name, in alphabetical order.
pub type Features = BTreeMap<String, FeatureValue>;

/// What licenses of one kind get.
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
    /// Its name, as it stands on licenses and in JSON: 1 to 64 of `a–z 0–9 _ -`.
    pub name: String,
    /// Domains that a new license may have.
    pub max_domains: Limit,
    /// Devices that a new license may have.
    pub max_devices: Limit,
    /// Days until a new license expires, and that a renewal adds; `None` is perpetual.
    pub term_days: Option<u32>,
    /// Days after `expires_at` for which validations stay valid.
    pub grace_days: u32,
    /// Whether unregistered domains may take a slot.
    pub domain_policy: DomainPolicy,
    /// Whether `localhost`, `*.test`, private addresses and the like are always allowed and never counted.
    pub exempt_hosts: bool,
    /// What becomes of a new device where no slot is free.
    pub device_policy: DevicePolicy,
    /// Days after which a device that was not seen loses its slot; `None`: never.
    pub idle_days: Option<u32>,
    /// Whether customers may free slots themselves, with the license key alone.
    pub customer_release: bool,
    /// Countries in which one license is usual in one day; of more, `license.unusual_usage` tells. `None`: any.
    pub max_countries_per_day: Option<u32>,
    /// Devices on which one license is usual in one day, likewise.
    pub max_devices_per_day: Option<u32>,
    /// What the licensed software may do.
    pub features: Arc<Features>,
}

impl Plan {
    /// A plan without limits: perpetual, free claim, exempt hosts on, slots freed by the vendor only, no features.
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

    /// Sets how many domains.
    #[must_use]
    pub fn max_domains(mut self, limit: Limit) -> Self {
        self.max_domains = limit;
        self
    }

    /// Sets how many devices.
    #[must_use]
    pub fn max_devices(mut self, limit: Limit) -> Self {
        self.max_devices = limit;
        self
    }

    /// Sets the term in days; `None` is perpetual.
    #[must_use]
    pub fn term_days(mut self, days: Option<u32>) -> Self {
        self.term_days = days;
        self
    }

    /// Sets the days of grace after expiry.
    #[must_use]
    pub fn grace_days(mut self, days: u32) -> Self {
        self.grace_days = days;
        self
    }

    /// Sets the domain policy.
    #[must_use]
    pub fn domain_policy(mut self, policy: DomainPolicy) -> Self {
        self.domain_policy = policy;
        self
    }

    /// Sets whether `localhost` and private hosts are free.
    #[must_use]
    pub fn exempt_hosts(mut self, exempt: bool) -> Self {
        self.exempt_hosts = exempt;
        self
    }

    /// Sets what becomes of a new device where no slot is free.
    #[must_use]
    pub fn device_policy(mut self, policy: DevicePolicy) -> Self {
        self.device_policy = policy;
        self
    }

    /// Sets the days after which a device that was not seen loses its slot; `None`: never.
    #[must_use]
    pub fn idle_days(mut self, days: Option<u32>) -> Self {
        self.idle_days = days;
        self
    }

    /// Sets whether customers may free slots themselves.
    #[must_use]
    pub fn customer_release(mut self, allowed: bool) -> Self {
        self.customer_release = allowed;
        self
    }

    /// Sets the countries in which one license is usual in one day; `None`: any.
    #[must_use]
    pub fn max_countries_per_day(mut self, most: Option<u32>) -> Self {
        self.max_countries_per_day = most;
        self
    }

    /// Sets the devices on which one license is usual in one day; `None`: any.
    #[must_use]
    pub fn max_devices_per_day(mut self, most: Option<u32>) -> Self {
        self.max_devices_per_day = most;
        self
    }

    /// Adds a feature, or replaces it.
    #[must_use]
    pub fn feature(mut self, name: impl Into<String>, value: impl Into<FeatureValue>) -> Self {
        Arc::make_mut(&mut self.features).insert(name.into(), value.into());
        self
    }

    /// The term as a duration; `None` is perpetual.
    #[must_use]
    pub fn term(&self) -> Option<TimeDelta> {
        self.term_days.map(|days| TimeDelta::days(days.into()))
    }

    /// Whether there is a use of its licenses that is unusual.
    #[must_use]
    pub fn watches_usage(&self) -> bool {
        self.max_countries_per_day.is_some() || self.max_devices_per_day.is_some()
    }

    /// The time after which a device that was not seen loses its slot; `None`: never.
    #[must_use]
    pub fn idle(&self) -> Option<TimeDelta> {
        self.idle_days.map(|days| TimeDelta::days(days.into()))
    }

    /// The grace as a duration.
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
                "a plan's name is 1 to {} of a–z, 0–9, _ and -",
                limits::PLAN_NAME_BYTES
            )));
        }
        for (name, limit) in [("max_domains", self.max_domains), ("max_devices", self.max_devices)] {
            if limit.as_number().is_some_and(|number| number > limits::MAX_SLOTS) {
                return Err(bad(format!("{name} is at most {}", limits::MAX_SLOTS)));
            }
        }
        if self.term_days.is_some_and(|days| days == 0 || days > limits::PLAN_DAYS) {
            return Err(bad(format!("term_days is 1 to {}", limits::PLAN_DAYS)));
        }
        if self.grace_days > limits::PLAN_DAYS {
            return Err(bad(format!("grace_days is at most {}", limits::PLAN_DAYS)));
        }
        if self.idle_days.is_some_and(|days| days == 0 || days > limits::PLAN_DAYS) {
            return Err(bad(format!("idle_days is 1 to {}", limits::PLAN_DAYS)));
        }
        for (name, most) in [
            ("max_countries_per_day", self.max_countries_per_day),
            ("max_devices_per_day", self.max_devices_per_day),
        ] {
            if most.is_some_and(|most| most == 0 || most > limits::MAX_SLOTS) {
                return Err(bad(format!("{name} is 1 to {}", limits::MAX_SLOTS)));
            }
        }
        if self.features.len() > limits::PLAN_FEATURES {
            return Err(bad(format!("a plan has at most {} features", limits::PLAN_FEATURES)));
        }
        Ok(())
    }
}

/// The plans that licenses may have, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanCatalog {
    plans: BTreeMap<String, Arc<Plan>>,
}

impl PlanCatalog {
    /// A catalog of these plans.
    ///
    /// # Errors
    /// [`PlanCatalogError`] when it is empty, a name stands twice, or a plan is out of bounds.
    pub fn new(plans: impl IntoIterator<Item = Plan>) -> Result<Self, PlanCatalogError> {
        let mut by_name = BTreeMap::new();
        for plan in plans {
            plan.check()?;
            let name = plan.name.clone();
            if by_name.insert(name.clone(), Arc::new(plan)).is_some() {
                return Err(PlanCatalogError::Plan { plan: name, reason: "stands twice".to_owned() });
            }
        }
        if by_name.is_empty() {
            return Err(PlanCatalogError::Empty);
        }
        Ok(Self { plans: by_name })
    }

    /// The three plans a server starts with where it is given no file: starter (1 domain, 2 devices), professional
    /// (3 domains, 10 devices) and enterprise (unlimited); all of 365 days.
    ///
    /// # Panics
    /// Never: the plans are constants, and a test builds them.
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

    /// The plan of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Plan>> {
        self.plans.get(name)
    }

    /// All plans, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        self.plans.values().map(AsRef::as_ref)
    }
}

/// Why a catalog is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanCatalogError {
    /// No plan in it.
    #[error("a catalog has at least one plan")]
    Empty,
    /// One plan is out of bounds.
    #[error("plan {plan:?}: {reason}")]
    Plan {
        /// Its name.
        plan: String,
        /// What is wrong.
        reason: String,
    },
    /// Not TOML, or not of the form of a catalog.
    #[cfg(feature = "plan-files")]
    #[error("{0}")]
    Toml(Box<toml::de::Error>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_catalog() {
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

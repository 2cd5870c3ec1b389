//! Plans: limits, terms and policies that licenses are sold with.

use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::PlanCatalogError;
use super::feature::{FeatureValue, Features};
use super::limit::Limit;
use crate::limits;

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

/// The terms of licenses of one kind.
///
/// ```
/// use license_core::catalog::{DomainPolicy, Limit, Plan};
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

    pub(super) fn check(&self) -> Result<(), PlanCatalogError> {
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

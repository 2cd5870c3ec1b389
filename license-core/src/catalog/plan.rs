//! Plans: the limits, terms and policies of licenses.

use std::sync::Arc;

use chrono::TimeDelta;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::PlanCatalogError;
use super::feature::{FeatureValue, Features};
use super::limit::Limit;
use super::name::check_name;
use super::product::DEFAULT_PRODUCT;
use crate::builder::setters;
use crate::limits;

/// The policy for unregistered domains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainPolicy {
    /// A new domain takes a free slot on first use.
    #[default]
    FreeClaim,
    /// Only domains that an admin registered are allowed; others are `DOMAIN_NOT_ALLOWED`.
    RegisteredOnly,
}

/// The policy for a new device if no slot is free.
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
///     .max_domains(3)
///     .term_days(365)
///     .feature("api", true)
///     .feature("seats", 25);
/// assert_eq!(plan.max_devices, Limit::Unlimited);
/// assert_eq!(plan.domain_policy, DomainPolicy::FreeClaim);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Plan {
    /// The name on licenses and in JSON: 1 to 64 of `a–z 0–9 _ -`.
    #[serde(skip)]
    pub name: String,
    /// The name of the product that the plan sells, with the same rules as `name`.
    #[serde(default = "default_product")]
    pub product: String,
    /// Domain limit of new licenses.
    #[serde(deserialize_with = "limit")]
    pub max_domains: Limit,
    /// Device limit of new licenses.
    #[serde(deserialize_with = "limit")]
    pub max_devices: Limit,
    /// Days until a new license expires, and days that a renewal adds; `None` is perpetual.
    #[serde(deserialize_with = "term")]
    pub term_days: Option<u32>,
    /// Days after `expires_at` during which validations stay valid.
    #[serde(default)]
    pub grace_days: u32,
    /// The policy for unregistered domains.
    #[serde(default)]
    pub domain_policy: DomainPolicy,
    /// Whether development hosts such as `localhost` and `*.test` are allowed and never counted.
    #[serde(default = "yes")]
    pub exempt_hosts: bool,
    /// The policy for a new device if no slot is free.
    #[serde(default)]
    pub device_policy: DevicePolicy,
    /// Days after which an unseen device loses its slot; `None` is never.
    pub idle_days: Option<u32>,
    /// Whether customers can free slots with the license key alone.
    #[serde(default)]
    pub customer_release: bool,
    /// Countries per day beyond which `license.unusual_usage` is emitted; `None` is never.
    pub max_countries_per_day: Option<u32>,
    /// Devices per day beyond which `license.unusual_usage` is emitted; `None` is never.
    pub max_devices_per_day: Option<u32>,
    /// Features for the licensed software.
    #[serde(default)]
    pub features: Arc<Features>,
}

fn default_product() -> String {
    DEFAULT_PRODUCT.to_owned()
}

fn yes() -> bool {
    true
}

fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
    number_or("unlimited", deserializer).map(Limit::from)
}

fn term<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    number_or("perpetual", deserializer)
}

fn number_or<'de, D: Deserializer<'de>>(word: &str, deserializer: D) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum NumberOrWord {
        Number(u32),
        Word(String),
        Null,
    }
    match NumberOrWord::deserialize(deserializer) {
        Ok(NumberOrWord::Number(number)) => Ok(Some(number)),
        // JSON has `null` instead of the word.
        Ok(NumberOrWord::Null) => Ok(None),
        Ok(NumberOrWord::Word(text)) if text == word => Ok(None),
        _ => Err(D::Error::custom(format_args!("expected a whole number, or the word {word:?}"))),
    }
}

impl Plan {
    /// Creates a plan of [`DEFAULT_PRODUCT`] without limits and features: perpetual, free claim, exempt hosts, no customer release.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            product: default_product(),
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
        product: impl Into<String>,
        max_domains: impl Into<Limit>,
        max_devices: impl Into<Limit>,
        term_days: impl Into<Option<u32>>,
        grace_days: u32,
        domain_policy: DomainPolicy,
        exempt_hosts: bool,
        device_policy: DevicePolicy,
        idle_days: impl Into<Option<u32>>,
        customer_release: bool,
        max_countries_per_day: impl Into<Option<u32>>,
        max_devices_per_day: impl Into<Option<u32>>,
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
        check_name("a plan", &self.name).map_err(bad)?;
        check_name("a product", &self.product).map_err(bad)?;
        let (slots, days) = (limits::MAX_SLOTS, limits::PLAN_DAYS);
        for (name, number, most) in [
            ("max_domains", self.max_domains.as_number(), slots),
            ("max_devices", self.max_devices.as_number(), slots),
            ("grace_days", Some(self.grace_days), days),
        ] {
            if number.is_some_and(|number| number > most) {
                return Err(bad(format!("{name} must be at most {most}")));
            }
        }
        for (name, number, most) in [
            ("term_days", self.term_days, days),
            ("idle_days", self.idle_days, days),
            ("max_countries_per_day", self.max_countries_per_day, slots),
            ("max_devices_per_day", self.max_devices_per_day, slots),
        ] {
            if number.is_some_and(|number| number == 0 || number > most) {
                return Err(bad(format!("{name} must be 1 to {most}")));
            }
        }
        if self.features.len() > limits::PLAN_FEATURES {
            return Err(bad(format!("a plan can have at most {} features", limits::PLAN_FEATURES)));
        }
        Ok(())
    }
}

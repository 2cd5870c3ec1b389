//! Plans: the limits, terms and policies of licenses.

use std::sync::Arc;

use chrono::TimeDelta;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::exempt_hosts::ExemptHosts;
use super::feature::{FeatureValue, Features};
use super::limit::Limit;
use super::over_limit::OverLimit;
use super::product::DEFAULT_PRODUCT;
use super::required_claim::{RequiredClaim, RequiredClaims};
use super::term::{Term, term_or_short_form};
use super::trial::{Trial, TrialHolder};
use super::updates::{AfterExpiry, Updates};
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
    /// The term of new licenses, and the time that a renewal adds; `None` is perpetual. In files, `term_days`
    /// is its short form.
    #[serde(alias = "term_days", deserialize_with = "term_or_short_form")]
    pub term: Option<Term>,
    /// Days after `expires_at` during which validations stay valid.
    #[serde(default)]
    pub grace_days: u32,
    /// The policy for unregistered domains.
    #[serde(default)]
    pub domain_policy: DomainPolicy,
    /// Hosts that are allowed and never counted.
    #[serde(default)]
    pub exempt_hosts: ExemptHosts,
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
    /// Which versions of the software a license covers; `None` is all.
    pub updates: Option<Updates>,
    /// Slots that validations can take beyond the limits.
    #[serde(default)]
    pub over_limit: OverLimit,
    /// The parts that every claim must have; `None` requires the product, unless it is [`DEFAULT_PRODUCT`].
    #[serde(default)]
    pub require: Option<RequiredClaims>,
    /// Who can have the plan once; `None` is no trial.
    pub trial: Option<Trial>,
    /// Longest time of a lease in days; `None` allows no leases.
    pub offline_days: Option<u32>,
    /// Devices that can hold leases at the same time, and new leases of a day; `None` is all devices but one.
    pub offline_slots: Option<u32>,
    /// Whether a lease that is handed back frees its slot at once. Otherwise the slot is held until the lease
    /// ends, because a copy of it may live on.
    #[serde(default)]
    pub trust_release: bool,
}

/// Returns whether the text can name a plan or a product.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    (1..=limits::PLAN_NAME_BYTES).contains(&text.len()) && text.chars().all(allowed)
}

fn default_product() -> String {
    DEFAULT_PRODUCT.to_owned()
}

/// Reads a number, `null` (in JSON) or "unlimited" (in files).
fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum NumberOrWord {
        Number(u32),
        Word(String),
        Null,
    }
    match NumberOrWord::deserialize(deserializer) {
        Ok(NumberOrWord::Number(number)) => Ok(Limit::AtMost(number)),
        Ok(NumberOrWord::Null) => Ok(Limit::Unlimited),
        Ok(NumberOrWord::Word(text)) if text == "unlimited" => Ok(Limit::Unlimited),
        _ => Err(D::Error::custom("expected a whole number, or null or \"unlimited\" for no limit")),
    }
}

impl Plan {
    /// Creates a plan of [`DEFAULT_PRODUCT`] without limits and features: perpetual, free claim, exempt
    /// hosts, no customer release.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            product: default_product(),
            max_domains: Limit::Unlimited,
            max_devices: Limit::Unlimited,
            term: None,
            grace_days: 0,
            domain_policy: DomainPolicy::default(),
            exempt_hosts: ExemptHosts::default(),
            device_policy: DevicePolicy::default(),
            idle_days: None,
            customer_release: false,
            max_countries_per_day: None,
            max_devices_per_day: None,
            features: Arc::default(),
            updates: None,
            over_limit: OverLimit::default(),
            require: None,
            trial: None,
            offline_days: None,
            offline_slots: None,
            trust_release: false,
        }
    }

    setters! {
        product: impl Into<String>,
        max_domains: impl Into<Limit>,
        max_devices: impl Into<Limit>,
        term: impl Into<Option<Term>>,
        grace_days: u32,
        domain_policy: DomainPolicy,
        exempt_hosts: impl Into<ExemptHosts>,
        device_policy: DevicePolicy,
        idle_days: impl Into<Option<u32>>,
        customer_release: bool,
        max_countries_per_day: impl Into<Option<u32>>,
        max_devices_per_day: impl Into<Option<u32>>,
        updates: impl Into<Option<Updates>>,
        over_limit: OverLimit,
        trial: impl Into<Option<Trial>>,
        offline_days: impl Into<Option<u32>>,
        offline_slots: impl Into<Option<u32>>,
        trust_release: bool,
    }

    /// Sets the parts that every claim must have.
    #[must_use]
    pub fn require(mut self, claims: impl IntoIterator<Item = RequiredClaim>) -> Self {
        self.require = Some(claims.into_iter().collect());
        self
    }

    /// Adds or replaces a feature.
    #[must_use]
    pub fn feature(mut self, name: impl Into<String>, value: impl Into<FeatureValue>) -> Self {
        Arc::make_mut(&mut self.features).insert(name.into(), value.into());
        self
    }

    /// Returns whether every claim must have this part. A trial by device requires the device.
    #[must_use]
    pub fn requires(&self, claim: RequiredClaim) -> bool {
        if claim == RequiredClaim::Device && self.is_trial_once_per(TrialHolder::Device) {
            return true;
        }
        match &self.require {
            Some(required) => required.contains(&claim),
            None => claim == RequiredClaim::Product && self.product != DEFAULT_PRODUCT,
        }
    }

    /// Sets a [`term`](field@Self::term) of some days that starts with the issue; `None` is perpetual.
    #[must_use]
    pub fn term_days(self, days: impl Into<Option<u32>>) -> Self {
        self.term(days.into().map(Term::days))
    }

    /// Returns whether each of these holders can have the plan once.
    #[must_use]
    pub fn is_trial_once_per(&self, holder: TrialHolder) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.once_per.contains(&holder))
    }

    /// Returns whether an expired license allows the versions that it covers.
    #[must_use]
    pub fn covers_old_versions(&self) -> bool {
        self.updates.is_some_and(|updates| updates.after_expiry == AfterExpiry::OldVersions)
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

    /// Returns how many devices of a license with this device limit can hold leases.
    #[must_use]
    pub fn offline_limit(&self, max_devices: Limit) -> Limit {
        match (self.offline_slots, max_devices) {
            (Some(slots), _) => Limit::AtMost(slots),
            (None, Limit::AtMost(devices)) => Limit::AtMost(devices.saturating_sub(1).max(1)),
            (None, Limit::Unlimited) => Limit::Unlimited,
        }
    }

    /// Returns the grace period.
    #[must_use]
    pub fn grace(&self) -> TimeDelta {
        TimeDelta::days(self.grace_days.into())
    }
}

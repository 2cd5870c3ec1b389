//! JSON forms shared by the API and events.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

use crate::catalog::Limit;
use crate::debug::partial_debug;
use crate::license::Activation;
use crate::license::{LicenseDetail, Metadata};

/// Serializes a time as RFC 3339 in UTC with `Z` and no more digits than needed, for `serialize_with`.
///
/// # Errors
/// Returns the error of the serializer.
pub fn time<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// Serializes an optional time as [`time`] does, or as `null`.
///
/// # Errors
/// Returns the error of the serializer.
pub fn time_or_null<S: Serializer>(value: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => time(value, serializer),
        None => serializer.serialize_none(),
    }
}

/// The JSON of a license. The first fourteen names and their order are fixed.
#[derive(Clone, Serialize)]
pub struct LicenseJson<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    status: &'static str,
    plan: &'a str,
    customer_email: &'a str,
    max_domains: Limit,
    domains: Vec<&'a str>,
    max_devices: Limit,
    devices: Vec<&'a str>,
    #[serde(serialize_with = "time")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "time_or_null")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "time_or_null")]
    last_validated_at: Option<DateTime<Utc>>,
    validation_count: u64,
    metadata: &'a Metadata,
    domains_used: u64,
    devices_used: u64,
    #[serde(serialize_with = "time_or_null")]
    activated_at: Option<DateTime<Utc>>,
    version: u64,
}

impl<'a> LicenseJson<'a> {
    /// Creates the JSON at `now`, with at most `listed` activations of each kind, and the key if given.
    #[must_use]
    pub fn new(detail: &'a LicenseDetail, key: Option<&'a str>, now: DateTime<Utc>, listed: usize) -> Self {
        let license = &*detail.license;
        let values = |activations: &'a [Activation]| {
            activations.iter().take(listed).map(|one| one.binding.value()).collect()
        };
        Self {
            id: license.id.as_str(),
            key,
            status: license.status(now).as_str(),
            plan: &license.plan,
            customer_email: license.customer_email.as_str(),
            max_domains: license.max_domains,
            domains: values(&detail.domains),
            max_devices: license.max_devices,
            devices: values(&detail.devices),
            created_at: license.created_at,
            expires_at: license.expires_at,
            last_validated_at: detail.counters.last_validated_at,
            validation_count: detail.counters.validation_count,
            metadata: &license.metadata,
            domains_used: license.domains_used,
            devices_used: license.devices_used,
            activated_at: license.activated_at,
            version: license.version,
        }
    }
}

// Hides the key and the customer.
partial_debug!(LicenseJson<'_> { id });

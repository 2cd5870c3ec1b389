//! JSON forms shared by the API and events.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::catalog::{Limit, TermStart};
use crate::debug::partial_debug;
use crate::license::{
    Activation, CustomerEmail, CustomerName, ExternalId, Grants, LicenseDetail, LicenseTerm, Metadata, Reason,
};

/// The JSON of a license. Clients depend on the first fourteen names and their order.
#[derive(Clone, Serialize)]
pub struct LicenseJson<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    status: &'static str,
    plan: &'a str,
    customer_email: Option<&'a str>,
    max_domains: Limit,
    domains: Vec<&'a str>,
    max_devices: Limit,
    devices: Vec<&'a str>,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    last_validated_at: Option<DateTime<Utc>>,
    validation_count: u64,
    metadata: &'a Metadata,
    domains_used: u64,
    devices_used: u64,
    activated_at: Option<DateTime<Utc>>,
    version: u64,
    product: &'a str,
    customer_name: Option<&'a str>,
    external_id: Option<&'a str>,
    term: TermJson,
    updates_until: Option<DateTime<Utc>>,
    grants: &'a Grants,
    state_reason: Option<&'a str>,
    plan_version: u32,
    overrides: Vec<&'static str>,
}

/// The start of a term.
#[derive(Clone, Copy, Serialize)]
struct TermJson {
    starts: TermStart,
    started_at: Option<DateTime<Utc>>,
}

impl From<LicenseTerm> for TermJson {
    fn from(LicenseTerm { starts, started_at }: LicenseTerm) -> Self {
        Self { starts, started_at }
    }
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
            customer_email: license.customer_email.as_ref().map(CustomerEmail::as_str),
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
            product: &license.product,
            customer_name: license.customer_name.as_ref().map(CustomerName::as_str),
            external_id: license.external_id.as_ref().map(ExternalId::as_str),
            term: license.term.into(),
            updates_until: license.updates_until,
            grants: &license.grants,
            state_reason: license.state_reason.as_ref().map(Reason::as_str),
            plan_version: license.plan_version,
            overrides: license.overrides.names(),
        }
    }
}

// Hides the key and the customer.
partial_debug!(LicenseJson<'_> { id });

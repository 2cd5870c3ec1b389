//! Creates licenses.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::Draft;
use super::audit;
use super::change::register;
use super::idempotency::Idempotency;
use super::lifecycle::supported_time;
use crate::access::{Actor, AuditEntry};
use crate::builder::{optional_setters, setters};
use crate::catalog::{Limit, PlanCatalog, PlanVersion};
use crate::domain::DomainName;
use crate::event::{Event, EventType};
use crate::key::{KeyDigest, SealedKey};
use crate::license::{
    Activation, Counters, CustomerEmail, Expiry, License, LicenseChanged, LicenseDetail, LicenseId,
    LicenseState, Metadata, Overrides,
};
use crate::limits;
use crate::validation::{Denial, plan_for_sale};

/// The fields of a new license. Those that are `None` come from its plan.
///
/// ```
/// use license_core::command::LicenseSpec;
/// let spec = LicenseSpec::new("team", "dev@example.com".parse()?)
///     .max_devices(5)
///     .domains(["example.com".parse()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LicenseSpec {
    /// The name of the plan.
    pub plan: String,
    /// The customer.
    pub customer_email: CustomerEmail,
    /// The domain limit.
    pub max_domains: Option<Limit>,
    /// The device limit.
    pub max_devices: Option<Limit>,
    /// Domains that hold a slot from the start.
    pub domains: Vec<DomainName>,
    /// The expiry; `None` uses the plan's term.
    pub expires_at: Option<Expiry>,
    /// Notes of the vendor.
    pub metadata: Metadata,
}

impl LicenseSpec {
    /// Creates a spec with the defaults of the plan.
    #[must_use]
    pub fn new(plan: impl Into<String>, customer_email: CustomerEmail) -> Self {
        Self {
            plan: plan.into(),
            customer_email,
            max_domains: None,
            max_devices: None,
            domains: Vec::new(),
            expires_at: None,
            metadata: Metadata::default(),
        }
    }

    optional_setters! {
        max_domains: Limit,
        max_devices: Limit,
        expires_at: Expiry,
    }

    setters! {
        domains: impl Into<Vec<DomainName>>,
        metadata: Metadata,
    }

    /// Returns a text that is equal for equal specs only, to compare requests.
    pub(crate) fn content(&self) -> String {
        let Self { plan, customer_email, max_domains, max_devices, domains, expires_at, metadata } = self;
        let domains: Vec<_> = domains.iter().map(DomainName::as_str).collect();
        // An array of fixed length, in which `[null]` (unlimited) and `null` (not given) differ.
        json!([
            plan,
            customer_email.as_str(),
            max_domains.map(|limit| [limit]),
            max_devices.map(|limit| [limit]),
            domains,
            expires_at.map(|expiry| [expiry.moment()]),
            metadata,
        ])
        .to_string()
    }
}

/// A license to create, with everything that goes into the same commit.
#[derive(Clone, Debug, PartialEq)]
pub struct NewLicense {
    /// The license.
    pub license: License,
    /// Its first activations.
    pub activations: Vec<Activation>,
    /// Its first events.
    pub events: Vec<Event>,
    /// The idempotency key of the request, if any.
    pub idempotency: Option<Idempotency>,
    /// The audit entry to add.
    pub audit: Option<AuditEntry>,
}

impl NewLicense {
    /// Adds the audit entry of the creation. `by` is the creator. Pure.
    #[must_use]
    pub fn audited(mut self, by: &Actor) -> Self {
        self.audit = Some(audit::created(&self.license, &self.activations, by));
        self
    }

    /// Returns the notice for other nodes, since the key is no longer unknown.
    #[must_use]
    pub fn notice(&self) -> LicenseChanged {
        (&self.license).into()
    }
}

/// Decides the creation of a license. Pure.
///
/// # Errors
/// Returns [`Denial::PlanUnknown`], [`Denial::PlanArchived`], [`Denial::DomainsOverLimit`], [`Denial::DomainExempt`],
/// [`Denial::TooFar`], or [`Denial::Expired`] if `expires_at` is not in the future.
pub fn create(
    id: LicenseId,
    key: (KeyDigest, SealedKey),
    spec: &LicenseSpec,
    idempotency: Option<Idempotency>,
    plans: &PlanCatalog,
    now: DateTime<Utc>,
) -> Result<NewLicense, Denial> {
    let PlanVersion { plan, version, .. } = plan_for_sale(&spec.plan, plans)?;
    let expires_at = match spec.expires_at {
        Some(expiry) => expiry.moment(),
        None => plan.term().map(|term| supported_time(now.checked_add_signed(term))).transpose()?,
    };
    if let Some(time) = expires_at {
        supported_time(Some(time))?;
        if time <= now {
            return Err(Denial::Expired { since: time });
        }
    }
    let (key_digest, sealed_key) = key;
    let max_domains = spec.max_domains.unwrap_or(plan.max_domains);
    let max_devices = spec.max_devices.unwrap_or(plan.max_devices);
    let license = License {
        id,
        key_digest,
        sealed_key,
        state: LicenseState::Active,
        product: plan.product.clone(),
        plan: plan.name.clone(),
        customer_email: spec.customer_email.clone(),
        max_domains,
        max_devices,
        domains_used: 0,
        devices_used: 0,
        created_at: now,
        activated_at: None,
        expires_at,
        metadata: spec.metadata.clone(),
        version: 1,
        last_event: 0,
        expiry_notice: None,
        plan_version: *version,
        overrides: Overrides::of(plan, max_domains, max_devices),
    };
    let mut draft = Draft::new(license, now);
    draft.emit(EventType::LicenseCreated, json!({}));
    register(&mut draft, plan, &spec.domains, &spec.domains)?;
    let Draft { license, added, events, .. } = draft;
    let listed = limits::EVENT_ACTIVATIONS;
    let detail = LicenseDetail::new(license.clone().into(), Counters::default(), added.iter(), listed);
    let events = events.complete(&detail);
    Ok(NewLicense { license, activations: added, events, idempotency, audit: None })
}

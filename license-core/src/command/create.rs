//! Creates licenses.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::Draft;
use super::audit;
use super::change::register;
use super::lifecycle::supported_time;
use crate::access::{Actor, AuditEntry};
use crate::catalog::{Limit, PlanCatalog};
use crate::domain::DomainName;
use crate::event::{Event, EventType};
use crate::key::{KeyDigest, SealedKey};
use crate::license::{
    Activation, Counters, CustomerEmail, Expiry, ExpiryNotified, License, LicenseChanged, LicenseDetail,
    LicenseId, LicenseState, Metadata,
};
use crate::limits;
use crate::validation::{Denial, plan_named};

/// The fields of a new license. Those that are `None` come from its plan.
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

    /// Returns a digest of all fields, to compare requests.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let Self { plan, customer_email, max_domains, max_devices, domains, expires_at, metadata } = self;
        let domains: Vec<_> = domains.iter().map(DomainName::as_str).collect();
        // An array of fixed length, in which `[null]` (unlimited) and `null` (not given) differ.
        let text = json!([
            plan,
            customer_email.as_str(),
            max_domains.map(|limit| [limit]),
            max_devices.map(|limit| [limit]),
            domains,
            expires_at.map(|expiry| [expiry.moment()]),
            metadata,
        ]);
        *blake3::hash(text.to_string().as_bytes()).as_bytes()
    }
}

/// A caller's key for one request, so that a retry creates nothing: 1 to 255 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Parses a key.
    ///
    /// # Errors
    /// Returns [`IdempotencyKeyError`] if the form is wrong.
    pub fn parse(text: &str) -> Result<Self, IdempotencyKeyError> {
        let well_formed = (1..=limits::IDEMPOTENCY_KEY_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if well_formed { Ok(Self(text.to_owned())) } else { Err(IdempotencyKeyError) }
    }

    /// Returns the key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is not an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key must be 1 to {} printable ASCII characters", limits::IDEMPOTENCY_KEY_BYTES)]
pub struct IdempotencyKeyError;

/// Identifies a repeated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller's key.
    pub key: IdempotencyKey,
    /// [`LicenseSpec::digest`] of the request.
    pub request: [u8; 32],
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
/// Returns [`Denial::PlanUnknown`], [`Denial::DomainsOverLimit`], [`Denial::DomainExempt`],
/// [`Denial::TooFar`], or [`Denial::Expired`] if `expires_at` is not in the future.
pub fn create(
    id: LicenseId,
    key: (KeyDigest, SealedKey),
    spec: &LicenseSpec,
    idempotency: Option<Idempotency>,
    plans: &PlanCatalog,
    now: DateTime<Utc>,
) -> Result<NewLicense, Denial> {
    let plan = plan_named(&spec.plan, plans)?;
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
    let license = License {
        id,
        key_digest,
        sealed_key,
        state: LicenseState::Active,
        plan: plan.name.clone(),
        customer_email: spec.customer_email.clone(),
        max_domains: spec.max_domains.unwrap_or(plan.max_domains),
        max_devices: spec.max_devices.unwrap_or(plan.max_devices),
        domains_used: 0,
        devices_used: 0,
        created_at: now,
        activated_at: None,
        expires_at,
        metadata: spec.metadata.clone(),
        version: 1,
        last_event: 0,
        expiry_notified: ExpiryNotified::Nothing,
    };
    let mut draft = Draft::new(license, now);
    draft.emit(EventType::LicenseCreated, json!({}));
    register(&mut draft, plan, &spec.domains, &spec.domains)?;
    let Draft { license, now: _, added, released: _, labelled: _, events, erased: _ } = draft;
    let listed = limits::EVENT_ACTIVATIONS;
    let detail = LicenseDetail::new(license.clone().into(), Counters::default(), added.iter(), listed);
    let events = events.complete(&detail);
    Ok(NewLicense { license, activations: added, events, idempotency, audit: None })
}

//! Create a license.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::Draft;
use super::change::register;
use super::lifecycle::in_reach;
use crate::activation::{Activation, ActivationKind};
use crate::audit::{self, Actor, AuditEntry};
use crate::change::Change;
use crate::customer::CustomerEmail;
use crate::domain::DomainName;
use crate::event::{Event, EventType};
use crate::key::{KeyDigest, SealedKey};
use crate::license::{Counters, Expiry, ExpiryTold, License, LicenseDetail, LicenseId, LicenseState};
use crate::limits;
use crate::metadata::Metadata;
use crate::plan::{Limit, PlanCatalog};
use crate::verdict::Denial;

/// What a new license shall be. What is `None` comes from its plan.
#[derive(Clone, Debug, PartialEq)]
pub struct LicenseSpec {
    /// The name of its plan.
    pub plan: String,
    /// Whom it belongs to.
    pub customer_email: CustomerEmail,
    /// Slots for domains.
    pub max_domains: Option<Limit>,
    /// Slots for devices.
    pub max_devices: Option<Limit>,
    /// Domains that hold a slot from the start.
    pub domains: Vec<DomainName>,
    /// When it expires; `None`: after the plan's term.
    pub expires_at: Option<Expiry>,
    /// The vendor's own notes.
    pub metadata: Metadata,
}

impl LicenseSpec {
    /// A license of that plan for that customer, with all else from the plan.
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

    /// A digest of all that is asked; the same for the same request, whoever computes it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let Self { plan, customer_email, max_domains, max_devices, domains, expires_at, metadata } = self;
        let domains: Vec<_> = domains.iter().map(DomainName::as_str).collect();
        // One array of fixed length: `[null]` (said to be unlimited) and `null` (not said) differ.
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

/// A caller's name for one request, so that repeating it creates nothing twice: 1 to 255 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads a key.
    ///
    /// # Errors
    /// [`IdempotencyKeyError`] when it is of another form.
    pub fn parse(text: &str) -> Result<Self, IdempotencyKeyError> {
        let well_formed = (1..=limits::IDEMPOTENCY_KEY_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if well_formed { Ok(Self(text.to_owned())) } else { Err(IdempotencyKeyError) }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to {} printable ASCII characters", limits::IDEMPOTENCY_KEY_BYTES)]
pub struct IdempotencyKeyError;

/// What makes a repeated request known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller's name for the request.
    pub key: IdempotencyKey,
    /// [`LicenseSpec::digest`] of the request.
    pub request: [u8; 32],
}

/// A license to keep, with all that goes into the same commit.
#[derive(Clone, Debug, PartialEq)]
pub struct NewLicense {
    /// The license.
    pub license: License,
    /// Its first activations.
    pub activations: Vec<Activation>,
    /// Its first events.
    pub events: Vec<Event>,
    /// How a repetition is known.
    pub idempotency: Option<Idempotency>,
    /// The entry to add to the audit.
    pub audit: Option<AuditEntry>,
}

impl NewLicense {
    /// The same, with the entry of the audit that `by` made it. Pure.
    #[must_use]
    pub fn audited(mut self, by: &Actor) -> Self {
        self.audit = Some(audit::created(&self, by));
        self
    }

    /// What to tell other nodes: its key is no longer unknown.
    #[must_use]
    pub fn notice(&self) -> Change {
        let License { id, key_digest, version, .. } = &self.license;
        Change { license_id: id.clone(), key_digest: *key_digest, version: *version }
    }
}

/// Decides the creation of a license. Pure; id and key are made before.
///
/// # Errors
/// [`Denial::PlanUnknown`], [`Denial::DomainLimitReached`], [`Denial::DomainExempt`], [`Denial::TooFar`], and
/// [`Denial::Expired`] when it would be expired from the start.
pub fn create(
    id: LicenseId,
    key: (KeyDigest, SealedKey),
    spec: &LicenseSpec,
    idempotency: Option<Idempotency>,
    plans: &PlanCatalog,
    now: DateTime<Utc>,
) -> Result<NewLicense, Denial> {
    let plan = plans.get(&spec.plan).ok_or_else(|| Denial::PlanUnknown { plan: spec.plan.clone() })?;
    let expires_at = match spec.expires_at {
        Some(expiry) => expiry.moment(),
        None => plan.term().map(|term| in_reach(now.checked_add_signed(term))).transpose()?,
    };
    if let Some(time) = expires_at {
        in_reach(Some(time))?;
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
        expiry_told: ExpiryTold::Nothing,
    };
    let mut draft = Draft::new(license, now);
    draft.emit(EventType::LicenseCreated, json!({}));
    register(&mut draft, plan, &spec.domains)?;
    let Draft { license, now: _, added, released: _, labelled: _, events, erased: _ } = draft;
    let of_kind =
        |kind| added.iter().filter(|one| one.binding.kind() == kind).cloned().collect::<Vec<Activation>>();
    let detail = LicenseDetail {
        license: license.clone().into(),
        counters: Counters::default(),
        domains: of_kind(ActivationKind::Domain),
        devices: of_kind(ActivationKind::Device),
    };
    let events = events.complete(&detail);
    Ok(NewLicense { license, activations: added, events, idempotency, audit: None })
}

//! Creates licenses.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::Draft;
use super::Trials;
use super::audit;
use super::change::register;
use super::grant::new_grants;
use super::idempotency::Idempotency;
use super::term::{set_expiry, start_term, supported_time};
use crate::access::{Actor, AuditEntry};
use crate::builder::{optional_setters, setters};
use crate::catalog::{Limit, PlanCatalog, PlanVersion, TermStart};
use crate::domain::DomainName;
use crate::event::{Event, EventType};
use crate::key::{KeyDigest, SealedKey};
use crate::license::{
    Activation, Blocks, Counters, CustomerEmail, CustomerName, Expiry, ExternalId, Grant, License,
    LicenseChanged, LicenseDetail, LicenseId, LicenseState, LicenseTerm, Metadata, Overrides,
};
use crate::limits;
use crate::trial::{TrialClaim, TrialKeys};
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
    /// The customer; `None` for a key that is made before there is one.
    pub customer_email: Option<CustomerEmail>,
    /// The domain limit.
    pub max_domains: Option<Limit>,
    /// The device limit.
    pub max_devices: Option<Limit>,
    /// Domains that hold a slot from the start.
    pub domains: Vec<DomainName>,
    /// The expiry; `None` uses the plan's term. With an expiry, the term starts with the issue.
    pub expires_at: Option<Expiry>,
    /// Notes of the vendor.
    pub metadata: Metadata,
    /// The name of the customer.
    pub customer_name: Option<CustomerName>,
    /// The id of the license in another system of the vendor.
    pub external_id: Option<ExternalId>,
    /// Features beyond those of the plan. Of two with the same feature and source, the last one counts.
    pub grants: Vec<Grant>,
}

impl LicenseSpec {
    /// Creates a spec with the defaults of the plan.
    #[must_use]
    pub fn new(plan: impl Into<String>, customer_email: CustomerEmail) -> Self {
        Self { customer_email: Some(customer_email), ..Self::without_customer(plan) }
    }

    /// Creates a spec of a license that has no customer yet, with the defaults of the plan.
    #[must_use]
    pub fn without_customer(plan: impl Into<String>) -> Self {
        Self {
            plan: plan.into(),
            customer_email: None,
            max_domains: None,
            max_devices: None,
            domains: Vec::new(),
            expires_at: None,
            metadata: Metadata::default(),
            customer_name: None,
            external_id: None,
            grants: Vec::new(),
        }
    }

    optional_setters! {
        max_domains: Limit,
        max_devices: Limit,
        expires_at: Expiry,
        customer_name: CustomerName,
        external_id: ExternalId,
    }

    setters! {
        domains: impl Into<Vec<DomainName>>,
        metadata: Metadata,
        grants: impl Into<Vec<Grant>>,
    }

    /// Returns a text that is equal for equal specs only, to compare requests.
    pub(crate) fn content(&self) -> String {
        let Self {
            plan,
            customer_email,
            max_domains,
            max_devices,
            domains,
            expires_at,
            metadata,
            customer_name,
            external_id,
            grants,
        } = self;
        let domains: Vec<_> = domains.iter().map(DomainName::as_str).collect();
        // An array of fixed length, in which `[null]` (unlimited) and `null` (not given) differ.
        json!([
            plan,
            customer_email.as_ref().map(CustomerEmail::as_str),
            max_domains.map(|limit| [limit]),
            max_devices.map(|limit| [limit]),
            domains,
            expires_at.map(|expiry| [expiry.moment()]),
            metadata,
            customer_name.as_ref().map(CustomerName::as_str),
            external_id.as_ref().map(ExternalId::as_str),
            grants,
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
    /// The idempotency key of the request, if any. Of a batch, only the first license has it.
    pub idempotency: Option<Idempotency>,
    /// The audit entry to add.
    pub audit: Option<AuditEntry>,
    /// The trial claims to add.
    pub trial_claims: Vec<TrialClaim>,
}

impl NewLicense {
    /// Adds the audit entry of the creation. `by` is the creator. Pure.
    #[must_use]
    pub fn audited(mut self, by: &Actor) -> Self {
        self.audit = Some(audit::created(&self.license, &self.activations, by));
        self
    }

    /// Returns the license as it is stored.
    pub(crate) fn into_detail(self) -> LicenseDetail {
        let (license, listed) = (self.license.into(), limits::LISTED_ACTIVATIONS);
        LicenseDetail::new(license, Counters::default(), self.activations.iter(), listed)
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
/// [`Denial::TooFar`], [`Denial::CustomerRequired`], [`Denial::Expired`] if `expires_at` is not in the future, or [`Denial::GrantEnded`] or
/// [`Denial::GrantLimitReached`] as [`Command::AddGrant`](super::Command::AddGrant).
pub fn create(
    id: LicenseId,
    key: (KeyDigest, SealedKey),
    spec: &LicenseSpec,
    idempotency: Option<Idempotency>,
    plans: &PlanCatalog,
    trials: &TrialKeys,
    now: DateTime<Utc>,
) -> Result<NewLicense, Denial> {
    let PlanVersion { plan, version, .. } = plan_for_sale(&spec.plan, plans)?;
    let (key_digest, sealed_key) = key;
    let starts = match (spec.expires_at, plan.term) {
        (None, Some(term)) => term.starts,
        _ => TermStart::Issue,
    };
    let max_domains = spec.max_domains.unwrap_or(plan.max_domains);
    let max_devices = spec.max_devices.unwrap_or(plan.max_devices);
    let mut license = License {
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
        expires_at: None,
        metadata: spec.metadata.clone(),
        version: 1,
        last_event: 0,
        expiry_notice: None,
        customer_name: spec.customer_name.clone(),
        external_id: spec.external_id.clone(),
        anchor_day: None,
        term: LicenseTerm { starts, started_at: None },
        updates_until: None,
        grants: new_grants(&spec.grants, now)?,
        state_reason: None,
        blocks: Blocks::default(),
        plan_version: *version,
        overrides: Overrides::of(plan, max_domains, max_devices),
        leased_until: None,
    };
    if starts == TermStart::Issue {
        start_term(&mut license, plan, now)?;
    }
    if let Some(expiry) = spec.expires_at {
        let expires_at = expiry.moment().map(|time| supported_time(Some(time))).transpose()?;
        set_expiry(&mut license, expires_at);
    }
    if let Some(since) = license.expires_at.filter(|at| *at <= now) {
        return Err(Denial::Expired { since });
    }
    let mut draft = Draft::new(license, now);
    draft.emit(EventType::LicenseCreated, json!({}));
    register(&mut draft, plan, &spec.domains, &spec.domains)?;
    // The store finds out whether the trial was used: it inserts the claims.
    Trials { keys: trials, stored: &[] }.claim_customer(&mut draft, plan)?;
    let Draft { license, added, events, trial_claims, .. } = draft;
    let listed = limits::EVENT_ACTIVATIONS;
    let detail = LicenseDetail::new(license.clone().into(), Counters::default(), added.iter(), listed);
    let events = events.complete(&detail);
    Ok(NewLicense { license, activations: added, events, idempotency, audit: None, trial_claims })
}

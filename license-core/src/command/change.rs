//! Changes fields of a license.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::audit::changed_fields;
use super::lifecycle::{refuse_revoked, reinstate, revoke, suspend};
use super::term::{move_updates, set_expiry, start_term, supported_time};
use super::{Draft, FormerCustomer, Trials};
use crate::builder::optional_setters;
use crate::catalog::{Limit, Plan, PlanCatalog, PlanVersion, TrialHolder};
use crate::domain::DomainName;
use crate::event::EventType;
use crate::license::{
    Activation, ActivationKind, Binding, CustomerEmail, CustomerName, Expiry, ExternalId, License,
    MetadataPatch, Overrides, ReleaseCause,
};
use crate::limits;
use crate::validation::{Denial, current_version, plan_for_sale, plan_of};

/// A state that a change can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// As [`Command::Reinstate`](super::Command::Reinstate).
    Active,
    /// As [`Command::Suspend`](super::Command::Suspend).
    Suspended,
    /// As [`Command::Revoke`](super::Command::Revoke), after the other fields are changed.
    Revoked,
}

/// Fields to change; `None` keeps a field.
///
/// ```
/// use license_core::command::LicensePatch;
/// let patch = LicensePatch::default().plan("team").max_devices(5);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LicensePatch {
    /// The plan: the license moves to its current version, also if it has the plan already. The limits of the
    /// plan replace those of the license unless the change sets them; `expires_at` stays. A
    /// license without an updates window gets that of the plan; a plan without one removes it.
    pub plan: Option<String>,
    /// The customer; `Some(None)` removes it. The name of a former customer is removed too. The license and its blocks lose the reasons that concern another customer.
    pub customer_email: Option<Option<CustomerEmail>>,
    /// The domain limit. Below the number in use, activations stay but no new ones fit.
    pub max_domains: Option<Limit>,
    /// The device limit.
    pub max_devices: Option<Limit>,
    /// The complete list of domains. Domains missing from the list are released, and new ones are added.
    pub domains: Option<Vec<DomainName>>,
    /// The expiry, which can be in the past. A time ends the wait for the first use.
    pub expires_at: Option<Expiry>,
    /// Members to set or to remove in the metadata.
    pub metadata: Option<MetadataPatch>,
    /// The state.
    pub state: Option<TargetState>,
    /// The name of the customer; `Some(None)` removes it.
    pub customer_name: Option<Option<CustomerName>>,
    /// The external id; `Some(None)` removes it.
    pub external_id: Option<Option<ExternalId>>,
}

impl LicensePatch {
    optional_setters! {
        plan: String,
        customer_email: Option<CustomerEmail>,
        max_domains: Limit,
        max_devices: Limit,
        domains: Vec<DomainName>,
        expires_at: Expiry,
        metadata: MetadataPatch,
        state: TargetState,
        customer_name: Option<CustomerName>,
        external_id: Option<ExternalId>,
    }

    /// Returns whether a revoked license accepts the change: metadata, an external id, or another revocation.
    fn fits_revoked(&self) -> bool {
        let accepted = Self {
            metadata: self.metadata.clone(),
            external_id: self.external_id.clone(),
            state: self.state.filter(|state| *state == TargetState::Revoked),
            ..Self::default()
        };
        *self == accepted
    }
}

pub(super) fn change(
    draft: &mut Draft,
    activations: &[Activation],
    change: &LicensePatch,
    plans: &PlanCatalog,
    trials: &Trials<'_>,
) -> Result<(), Denial> {
    let LicensePatch {
        plan,
        customer_email,
        max_domains,
        max_devices,
        domains,
        expires_at,
        metadata,
        state,
        customer_name,
        external_id,
    } = change;
    if !change.fits_revoked() {
        refuse_revoked(draft)?;
    }

    let before = draft.license.clone();
    let license = &mut draft.license;
    if let Some(name) = plan {
        move_to_plan(license, name, plans, draft.now)?;
    }
    if let Some(email) = customer_email
        && *email != license.customer_email
    {
        let former = std::mem::replace(&mut license.customer_email, email.clone());
        if former.is_some() {
            license.customer_name = None;
        }
        draft.former_customer = former.map(|email| FormerCustomer { email, until: draft.now });
        // They can name the former customer.
        license.state_reason = None;
        license.blocks.remove_reasons();
    }
    if plan.is_some() || license.customer_email != before.customer_email {
        claim_trial(draft, &before, plans, trials)?;
    }
    let license = &mut draft.license;
    if let Some(name) = customer_name {
        license.customer_name.clone_from(name);
    }
    if let Some(external_id) = external_id {
        license.external_id.clone_from(external_id);
    }
    if max_domains.is_some() || max_devices.is_some() {
        license.max_domains = max_domains.unwrap_or(license.max_domains);
        license.max_devices = max_devices.unwrap_or(license.max_devices);
        let plan = plan_of(license, plans)?;
        license.overrides = Overrides::of(plan, license.max_domains, license.max_devices);
    }
    if let Some(expiry) = expires_at {
        let expires_at = expiry.moment().map(|time| supported_time(Some(time))).transpose()?;
        // A waiting license shows null: a caller who sends it back changes nothing.
        if license.awaits_first_use() && expires_at.is_some() {
            let plan = plan_of(license, plans)?;
            start_term(license, plan, draft.now)?;
        }
        set_expiry(license, expires_at);
    }
    if let Some(metadata) = metadata {
        license.metadata = license.metadata.merge(metadata).map_err(Denial::Metadata)?;
    }
    let mut fields: Vec<_> = changed_fields(&before, license).map(|(name, ..)| name).collect();
    if before.metadata != license.metadata {
        fields.push("metadata");
    }
    if before.customer_name != license.customer_name {
        fields.push("customer_name");
    }
    if !fields.is_empty() {
        draft.emit(EventType::LicenseUpdated, json!({ "fields": fields }));
    }
    if let Some(wanted) = domains {
        replace_domains(draft, activations, wanted, plans)?;
    }
    match state {
        None => Ok(()),
        Some(TargetState::Active) => reinstate(draft),
        Some(TargetState::Suspended) => suspend(draft),
        Some(TargetState::Revoked) => {
            revoke(draft);
            Ok(())
        }
    }
}

/// Moves the license to the current version of a plan of its product. Its limits become those of the plan.
fn move_to_plan(
    license: &mut License,
    name: &str,
    plans: &PlanCatalog,
    now: DateTime<Utc>,
) -> Result<(), Denial> {
    let is_current = name == license.plan
        && plans.entry(name).is_some_and(|entry| entry.current().version == license.plan_version);
    let PlanVersion { plan, version, .. } =
        if is_current { current_version(name, plans)? } else { plan_for_sale(name, plans)? };
    if plan.product != license.product {
        let (plan, product) = (name.to_owned(), plan.product.clone());
        return Err(Denial::ProductDiffers { product: license.product.clone(), plan, of: product });
    }
    license.plan.clone_from(&plan.name);
    license.plan_version = *version;
    license.max_domains = plan.max_domains;
    license.max_devices = plan.max_devices;
    license.overrides = Overrides::default();
    move_updates(license, plan, now)
}

/// Claims the trial of the customer, unless the license had it before.
fn claim_trial(
    draft: &mut Draft,
    before: &License,
    plans: &PlanCatalog,
    trials: &Trials<'_>,
) -> Result<(), Denial> {
    let was_trial = plan_of(before, plans).is_ok_and(|plan| plan.is_trial_once_per(TrialHolder::Customer));
    if was_trial && draft.license.customer_email == before.customer_email {
        return Ok(());
    }
    let plan = plan_of(&draft.license, plans)?;
    trials.claim_customer(draft, plan)
}

/// Releases domains missing from the list, then adds the new ones, so that a swap fits into a full license.
fn replace_domains(
    draft: &mut Draft,
    activations: &[Activation],
    wanted: &[DomainName],
    plans: &PlanCatalog,
) -> Result<(), Denial> {
    if draft.license.domains_used > limits::DOMAINS_PER_REQUEST as u64 {
        return Err(Denial::TooManyDomains { used: draft.license.domains_used });
    }
    let wanted_names: BTreeSet<_> = wanted.iter().map(DomainName::as_str).collect();
    let domains = || activations.iter().filter(|activation| matches!(activation.binding, Binding::Domain(_)));
    let held: BTreeSet<_> = domains().map(|activation| activation.binding.value()).collect();
    for activation in domains().filter(|activation| !wanted_names.contains(activation.binding.value())) {
        draft.release(activation, ReleaseCause::Admin);
    }
    let plan = plan_of(&draft.license, plans)?;
    let new = wanted.iter().filter(|domain| !held.contains(domain.as_str()));
    register(draft, plan, new, wanted)
}

/// Registers `domains` for an admin: the limit applies, the domain policy does not. None of them may hold a
/// slot yet. Duplicates take one slot. `named` are all domains of the request.
pub(super) fn register<'a>(
    draft: &mut Draft,
    plan: &Plan,
    domains: impl IntoIterator<Item = &'a DomainName>,
    named: &[DomainName],
) -> Result<(), Denial> {
    let mut seen = BTreeSet::new();
    for domain in domains {
        if plan.exempt_hosts.contains(domain) {
            return Err(Denial::DomainExempt { domain: domain.clone() });
        }
        if draft.license.blocks.has_domain(domain) {
            return Err(Denial::DomainBlocked { domain: domain.clone() });
        }
        if !seen.insert(domain) {
            continue;
        }
        let slots = draft.license.slots(ActivationKind::Domain);
        if !slots.has_free() {
            let named = named.iter().collect::<BTreeSet<_>>().len();
            return Err(Denial::DomainsOverLimit { named, limit: slots.limit });
        }
        draft.add(Binding::Domain(domain.clone()));
    }
    Ok(())
}

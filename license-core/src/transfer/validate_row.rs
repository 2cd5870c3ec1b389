//! The rules of an import: turns a line into a license, or rejects it.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::batch::ImportedLicense;
use super::error::ImportLineError;
use super::line::{ActivationLine, LicenseLine};
use crate::catalog::PlanCatalog;
use crate::event::{Event, EventType, NewEvents, Subject};
use crate::key::{KeyDigest, SealedKey};
use crate::license::{
    Activation, ActivationId, Binding, Counters, ExpiryNotice, License, LicenseDetail, LicenseId,
    LicenseState,
};
use crate::limits;
use crate::usage::ActivationDetail;
use crate::validation::Denial;

/// The rules for all lines of an import.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) plans: &'a PlanCatalog,
    pub(crate) now: DateTime<Utc>,
    pub(crate) over_limit: bool,
    pub(crate) events: bool,
}

/// The number of the rejected activation line, or `None` for the line of the license, and the error.
pub(crate) type Rejection = (Option<u64>, ImportLineError);

/// Builds the license with this id and key from its line and the lines of its activations. Pure.
///
/// The rules are those of new licenses: the plan must exist and provides defaults, slots are not oversold
/// unless the rules allow it, and exempt domains are rejected. Unlike in new licenses, the term may be over.
pub(crate) fn validate_row(
    (id, id_given): (LicenseId, bool),
    (key_digest, sealed_key): (KeyDigest, SealedKey),
    line: LicenseLine,
    activations: Vec<(u64, ActivationLine)>,
    rules: &Rules<'_>,
) -> Result<ImportedLicense, Rejection> {
    let own = |error: ImportLineError| (None, error);
    let unknown = || own(Denial::PlanUnknown { plan: line.plan.clone() }.into());
    let plan = rules.plans.get(&line.plan).ok_or_else(unknown)?;
    let created_at = line.created_at.map_or(rules.now, |time| time.0);
    let expires_at = match (line.expires_at, plan.term()) {
        (Some(expiry), _) => expiry.moment(),
        (None, None) => None,
        (None, Some(term)) => {
            let end = crate::command::supported_time(created_at.checked_add_signed(term));
            Some(end.map_err(|denial| own(denial.into()))?)
        }
    };
    // No event is due for a term that ended before the import.
    let has_ended = expires_at.is_some_and(|at| at <= rules.now);
    let notice = has_ended.then_some(ExpiryNotice { days: 0, at: rules.now });
    let key_given = line.key.is_some() || line.sealed_key.is_some();
    let counters = line.counters();
    let mut license = License {
        id,
        key_digest,
        sealed_key,
        state: line.state.unwrap_or(LicenseState::Active),
        plan: line.plan,
        customer_email: line.customer_email,
        max_domains: line.max_domains.unwrap_or(plan.max_domains),
        max_devices: line.max_devices.unwrap_or(plan.max_devices),
        domains_used: 0,
        devices_used: 0,
        created_at,
        activated_at: line.activated_at.map(|time| time.0),
        expires_at,
        metadata: line.metadata,
        version: line.version.unwrap_or(1),
        last_event: line.last_event.unwrap_or_default(),
        expiry_notice: line.expiry_notice.map_or(notice, |given| given.0.map(Into::into)),
    };
    let mut slots = RowSlots::default();
    let domains = line.domains.into_iter().map(Binding::Domain);
    let listed = domains.chain(line.devices.into_iter().flatten().map(Binding::Device));
    let mut activations: Vec<_> = activations.into_iter().map(|(at, line)| (Some(at), line)).collect();
    activations.extend(listed.map(|binding| (None, ActivationLine::listed(&license.id, binding))));
    // Activations with ids come first, so that the others get later numbers.
    activations.sort_by_key(|(_, line)| line.id.is_none());
    for (at, ActivationLine { license: _, id, binding, created_at, label, last_seen }) in activations {
        let id = if let Some(id) = id {
            let number = id.number_of(&license.id);
            let number = number.filter(|number| line.last_event.is_none_or(|last| *number <= last));
            let why = "it belongs to another license, or its number is above the license's last_event";
            let number = number.ok_or_else(|| (at, ImportLineError::field("id", why)))?;
            license.last_event = license.last_event.max(number);
            id
        } else {
            license.last_event += 1;
            ActivationId::new(&license.id, license.last_event)
        };
        let created_at = created_at.map_or(rules.now, |time| time.0);
        let detail =
            ActivationDetail { activation: Activation { id, binding, created_at, label }, last_seen };
        slots.take(detail, plan.exempt_hosts).map_err(|error| (at, error))?;
    }
    (license.domains_used, license.devices_used) = (slots.domains, slots.devices);
    if !rules.over_limit {
        for (slots, held, limit) in
            [("domains", slots.domains, license.max_domains), ("devices", slots.devices, license.max_devices)]
        {
            if limit.as_number().is_some_and(|limit| held > u64::from(limit)) {
                let why = format!("it holds {held} {slots}, but its limit is {limit}");
                return Err(own(ImportLineError::new(why)));
            }
        }
    }
    slots.activations.sort_unstable_by(|a, b| a.activation.id.cmp(&b.activation.id));
    let events = if rules.events {
        imported_event(&mut license, counters, &slots.activations, rules.now)
    } else {
        Vec::new()
    };
    Ok(ImportedLicense { license, counters, activations: slots.activations, events, id_given, key_given })
}

/// The activations of a license, without duplicates.
#[derive(Default)]
struct RowSlots {
    activations: Vec<ActivationDetail>,
    ids: HashSet<ActivationId>,
    bindings: HashSet<Binding>,
    domains: u64,
    devices: u64,
}

impl RowSlots {
    fn take(&mut self, detail: ActivationDetail, exempt_hosts: bool) -> Result<(), ImportLineError> {
        let ActivationDetail { activation, .. } = &detail;
        match &activation.binding {
            Binding::Domain(domain) if exempt_hosts && domain.is_exempt() => {
                return Err(Denial::DomainExempt { domain: domain.clone() }.into());
            }
            Binding::Domain(_) => self.domains += 1,
            Binding::Device(_) => self.devices += 1,
        }
        if self.activations.len() >= limits::IMPORT_ACTIVATIONS {
            return Err(ImportLineError::too_many_activations());
        }
        if !self.ids.insert(activation.id.clone()) || !self.bindings.insert(activation.binding.clone()) {
            return Err(ImportLineError::new("the license has this activation already"));
        }
        self.activations.push(detail);
        Ok(())
    }
}

/// Returns the event of the import.
fn imported_event(
    license: &mut License,
    counters: Counters,
    activations: &[ActivationDetail],
    now: DateTime<Utc>,
) -> Vec<Event> {
    license.last_event += 1;
    let mut events = NewEvents::default();
    events.push(Event {
        subject: Subject::License(license.id.clone()),
        sequence: license.last_event,
        event_type: EventType::LicenseImported,
        at: now,
        data: json!({}),
    });
    let activations = activations.iter().map(|one| &one.activation);
    let license = Arc::new(license.clone());
    events.complete(&LicenseDetail::new(license, counters, activations, limits::EVENT_ACTIVATIONS))
}

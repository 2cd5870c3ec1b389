//! The rules of an import: turns a line into a license, or rejects it.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::batch::ImportedLicense;
use super::error::ImportLineError;
use super::line::{ActivationLine, LicenseLine};
use crate::catalog::{Limit, PlanCatalog};
use crate::event::{Event, EventType, NewEvents, Subject};
use crate::key::{KeyDigest, SealedKey};
use crate::license::{
    Activation, ActivationId, ActivationKind, Binding, Counters, Expiry, ExpiryNotified, License,
    LicenseDetail, LicenseId,
};
use crate::limits;
use crate::usage::{ActivationDetail, LastSeen};
use crate::validation::Denial;

/// The rules for all lines of an import.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) plans: &'a PlanCatalog,
    pub(crate) now: DateTime<Utc>,
    pub(crate) over_limit: bool,
    pub(crate) events: bool,
}

/// An error and the activation line it is at; `None` means the line of the license.
pub(crate) type Rejection = (Option<u64>, ImportLineError);

/// Builds the license with this id and key from its line and the lines of its activations. Pure.
///
/// The rules are those of new licenses: the plan must exist and provides defaults, slots are not oversold
/// unless the rules allow it, and exempt domains take no slot. Unlike for new licenses, the term may have
/// ended.
pub(crate) fn validate_row(
    (id, id_given): (LicenseId, bool),
    (key_digest, sealed_key): (KeyDigest, SealedKey),
    line: LicenseLine,
    activations: Vec<(u64, ActivationLine)>,
    rules: &Rules<'_>,
) -> Result<ImportedLicense, Rejection> {
    let own = |fault| (None, fault);
    let unknown = || own(ImportLineError::Denied(Denial::PlanUnknown { plan: line.plan.clone() }));
    let plan = rules.plans.get(&line.plan).ok_or_else(unknown)?;
    let created_at = line.created_at.unwrap_or(rules.now);
    let expires_at = match line.expires_at {
        Some(expiry) => Expiry::moment(expiry),
        None => match plan.term() {
            None => None,
            Some(term) => {
                let end = crate::command::supported_time(created_at.checked_add_signed(term));
                Some(end.map_err(|denial| own(ImportLineError::Denied(denial)))?)
            }
        },
    };
    // No event is due for a term that ended before the import.
    let notified = if expires_at.is_some_and(|at| at <= rules.now) {
        ExpiryNotified::Expired
    } else {
        ExpiryNotified::Nothing
    };
    let key_given = line.key.is_some();
    let mut license = License {
        id,
        key_digest,
        sealed_key,
        state: line.state,
        plan: line.plan,
        customer_email: line.customer_email,
        max_domains: line.max_domains.unwrap_or(plan.max_domains),
        max_devices: line.max_devices.unwrap_or(plan.max_devices),
        domains_used: 0,
        devices_used: 0,
        created_at,
        activated_at: line.activated_at,
        expires_at,
        metadata: line.metadata,
        version: line.version,
        last_event: line.last_event.unwrap_or_default(),
        expiry_notified: line.expiry_notified.unwrap_or(notified),
    };
    let mut slots = RowSlots::default();
    // Activations with ids first, so that the others get later numbers.
    let (numbered, bare): (Vec<_>, Vec<_>) = activations.into_iter().partition(|(_, line)| line.id.is_some());
    for (at, ActivationLine { license: _, id, binding, created_at: since, label, last_seen }) in numbered {
        let Some(id) = id else { continue };
        let number = id.number_of(&license.id).ok_or((Some(at), ImportLineError::ActivationId))?;
        match line.last_event {
            None => license.last_event = license.last_event.max(number),
            Some(last) if number > last => return Err((Some(at), ImportLineError::ActivationId)),
            Some(_) => {}
        }
        let activation = Activation { id, binding, created_at: since.unwrap_or(rules.now), label };
        let detail = ActivationDetail { activation, last_seen };
        slots.take(detail, plan.exempt_hosts).map_err(|fault| (Some(at), fault))?;
    }
    let bare = bare
        .into_iter()
        .map(|(at, line)| (Some(at), line.binding, line.created_at, line.label, line.last_seen));
    let listed = line.bindings.into_iter().map(|binding| (None, binding, None, None, LastSeen::default()));
    for (at, binding, since, label, last_seen) in bare.chain(listed) {
        license.last_event += 1;
        let id = ActivationId::new(&license.id, license.last_event);
        let activation = Activation { id, binding, created_at: since.unwrap_or(rules.now), label };
        let detail = ActivationDetail { activation, last_seen };
        slots.take(detail, plan.exempt_hosts).map_err(|fault| (at, fault))?;
    }
    (license.domains_used, license.devices_used) = (slots.domains, slots.devices);
    if !rules.over_limit {
        for (kind, held, limit) in [
            (ActivationKind::Domain, slots.domains, license.max_domains),
            (ActivationKind::Device, slots.devices, license.max_devices),
        ] {
            if matches!(limit, Limit::AtMost(limit) if held > u64::from(limit)) {
                return Err(own(ImportLineError::OverLimit { kind, held, limit }));
            }
        }
    }
    slots.activations.sort_unstable_by(|a, b| a.activation.id.cmp(&b.activation.id));
    let events = if rules.events {
        imported_event(&mut license, line.counters, &slots.activations, rules.now)
    } else {
        Vec::new()
    };
    Ok(ImportedLicense {
        license,
        counters: line.counters,
        activations: slots.activations,
        events,
        id_given,
        key_given,
    })
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
                return Err(ImportLineError::Denied(Denial::DomainExempt { domain: domain.clone() }));
            }
            Binding::Domain(_) => self.domains += 1,
            Binding::Device(_) => self.devices += 1,
        }
        if self.activations.len() >= limits::IMPORT_ACTIVATIONS {
            return Err(ImportLineError::TooManyActivations);
        }
        if !self.ids.insert(activation.id.clone()) || !self.bindings.insert(activation.binding.clone()) {
            return Err(ImportLineError::ActivationTwice);
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
    let of_kind = |kind| {
        let activations = activations.iter().map(|one| &one.activation);
        let found = activations.filter(move |one| one.binding.kind() == kind);
        found.take(limits::EVENT_ACTIVATIONS as usize).cloned().collect()
    };
    events.complete(&LicenseDetail {
        license: Arc::new(license.clone()),
        counters,
        domains: of_kind(ActivationKind::Domain),
        devices: of_kind(ActivationKind::Device),
    })
}

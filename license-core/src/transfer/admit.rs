//! The rules of an import: what a line becomes, or why it is refused.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::fault::ImportFault;
use super::line::{ActivationLine, LicenseLine};
use super::store::ImportedLicense;
use crate::activation::{Activation, ActivationId, ActivationKind, Binding};
use crate::event::{Event, EventType, NewEvents, Subject};
use crate::key::{KeyDigest, SealedKey};
use crate::license::{Counters, Expiry, ExpiryTold, License, LicenseDetail, LicenseId};
use crate::limits;
use crate::plan::{Limit, PlanCatalog};
use crate::seen::{ActivationDetail, ActivationUsage};
use crate::verdict::Denial;

/// What all lines of an import are held to.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    pub(super) plans: &'a PlanCatalog,
    pub(super) now: DateTime<Utc>,
    pub(super) over_limit: bool,
    pub(super) events: bool,
}

/// A fault, and the line of an activation that it is at; `None`: at the license's own.
pub(super) type Refused = (Option<u64>, ImportFault);

/// Decides what a license becomes that has this id and key, with its activations of lines of their own. Pure.
///
/// As for issued licenses: its plan is one there is, and gives what the line leaves open; its slots are not oversold, unless the
/// rules say so; no exempt domain holds one. Otherwise than for those, its term may have passed.
pub(super) fn admit(
    (id, id_given): (LicenseId, bool),
    (key_digest, sealed_key): (KeyDigest, SealedKey),
    line: LicenseLine,
    activations: Vec<(u64, ActivationLine)>,
    rules: &Rules<'_>,
) -> Result<ImportedLicense, Refused> {
    let own = |fault| (None, fault);
    let unknown = || own(ImportFault::Denied(Denial::PlanUnknown { plan: line.plan.clone() }));
    let plan = rules.plans.get(&line.plan).ok_or_else(unknown)?;
    let created_at = line.created_at.unwrap_or(rules.now);
    let expires_at = match line.expires_at {
        Some(expiry) => Expiry::moment(expiry),
        None => match plan.term() {
            None => None,
            Some(term) => {
                let end = crate::command::in_reach(created_at.checked_add_signed(term));
                Some(end.map_err(|denial| own(ImportFault::Denied(denial)))?)
            }
        },
    };
    // What ended before is old news: it was told where the license comes from, or nobody waits for it.
    let told =
        if expires_at.is_some_and(|at| at <= rules.now) { ExpiryTold::Expired } else { ExpiryTold::Nothing };
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
        expiry_told: line.expiry_told.unwrap_or(told),
    };
    let mut slots = Slots::default();
    // Those that say their number first, so that the others get numbers after them.
    let (numbered, bare): (Vec<_>, Vec<_>) = activations.into_iter().partition(|(_, line)| line.id.is_some());
    for (at, ActivationLine { license: _, id, binding, created_at: since, label, usage }) in numbered {
        let Some(id) = id else { continue };
        let number = id.number_of(&license.id).ok_or((Some(at), ImportFault::ActivationId))?;
        match line.last_event {
            None => license.last_event = license.last_event.max(number),
            Some(last) if number > last => return Err((Some(at), ImportFault::ActivationId)),
            Some(_) => {}
        }
        let activation = Activation { id, binding, created_at: since.unwrap_or(rules.now), label };
        let detail = ActivationDetail { activation, usage };
        slots.take(detail, plan.exempt_hosts).map_err(|fault| (Some(at), fault))?;
    }
    let bare =
        bare.into_iter().map(|(at, line)| (Some(at), line.binding, line.created_at, line.label, line.usage));
    let listed =
        line.bindings.into_iter().map(|binding| (None, binding, None, None, ActivationUsage::default()));
    for (at, binding, since, label, usage) in bare.chain(listed) {
        license.last_event += 1;
        let id = ActivationId::new(&license.id, license.last_event);
        let activation = Activation { id, binding, created_at: since.unwrap_or(rules.now), label };
        let detail = ActivationDetail { activation, usage };
        slots.take(detail, plan.exempt_hosts).map_err(|fault| (at, fault))?;
    }
    (license.domains_used, license.devices_used) = (slots.domains, slots.devices);
    if !rules.over_limit {
        for (kind, held, limit) in [
            (ActivationKind::Domain, slots.domains, license.max_domains),
            (ActivationKind::Device, slots.devices, license.max_devices),
        ] {
            if matches!(limit, Limit::AtMost(limit) if held > u64::from(limit)) {
                return Err(own(ImportFault::OverLimit { kind, held, limit }));
            }
        }
    }
    slots.activations.sort_unstable_by(|a, b| a.activation.id.cmp(&b.activation.id));
    let events = if rules.events {
        imported(&mut license, line.counters, &slots.activations, rules.now)
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

/// What holds the slots of a license, each once.
#[derive(Default)]
struct Slots {
    activations: Vec<ActivationDetail>,
    ids: HashSet<ActivationId>,
    bindings: HashSet<Binding>,
    domains: u64,
    devices: u64,
}

impl Slots {
    fn take(&mut self, detail: ActivationDetail, exempt_hosts: bool) -> Result<(), ImportFault> {
        let ActivationDetail { activation, .. } = &detail;
        match &activation.binding {
            Binding::Domain(domain) if exempt_hosts && domain.is_exempt() => {
                return Err(ImportFault::Denied(Denial::DomainExempt { domain: domain.clone() }));
            }
            Binding::Domain(_) => self.domains += 1,
            Binding::Device(_) => self.devices += 1,
        }
        if self.activations.len() >= limits::IMPORT_ACTIVATIONS {
            return Err(ImportFault::TooManyActivations);
        }
        if !self.ids.insert(activation.id.clone()) || !self.bindings.insert(activation.binding.clone()) {
            return Err(ImportFault::ActivationTwice);
        }
        self.activations.push(detail);
        Ok(())
    }
}

/// That the license is there from now on.
fn imported(
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

//! The rules of an import: turns a line into a license, or rejects it.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::batch::ImportedLicense;
use super::error::{ImportLineError, Rejection};
use super::line::{ActivationLine, LicenseLine, LineState};
use super::note::ImportNote;
use super::row_leases::RowLeases;
use super::row_slots::RowSlots;
use super::row_term::RowTerm;
use crate::catalog::{PlanCatalog, PlanVersion, TermStart};
use crate::event::{Event, EventType, NewEvents, Subject};
use crate::key::{KeyDigest, SealedKey};
use crate::license::{
    ActivationKind, Binding, Block, Counters, ExpiryNotice, Lease, License, LicenseDetail, LicenseId,
    LicenseState, LicenseTerm, Overrides, Slots,
};
use crate::limits;
use crate::usage::ActivationDetail;

/// The rules for all lines of an import.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) plans: &'a PlanCatalog,
    pub(crate) now: DateTime<Utc>,
    pub(crate) over_limit: bool,
    pub(crate) events: bool,
}

/// Builds the license with this id and key from its line and the lines of its activations and leases. Pure.
///
/// The rules are those of new licenses: the plan must exist and provides defaults, and slots are not oversold
/// unless the rules allow it. Unlike in new licenses, the term may be over, exempt domains are left out,
/// and so are repeated domains and devices of the license line.
pub(crate) fn validate_row(
    (id, id_given): (LicenseId, bool),
    (key_digest, sealed_key): (KeyDigest, SealedKey),
    mut line: LicenseLine,
    activations: Vec<(u64, ActivationLine)>,
    leases: Vec<(u64, Lease)>,
    rules: &Rules<'_>,
) -> Result<(ImportedLicense, Vec<ImportNote>), Rejection> {
    let own = |error: ImportLineError| (None, error);
    let PlanVersion { plan, version, .. } = plan_version(&line, rules.plans).map_err(own)?;
    let mut notes = std::mem::take(&mut line.notes);
    let created_at = line.created_at.map_or(rules.now, |time| time.0);
    let state = match line.state {
        Some(LineState::State(state)) => state,
        Some(LineState::Expired) | None => LicenseState::Active,
    };
    let term = RowTerm::new(&line, plan, created_at, rules.now, &mut notes).map_err(own)?;
    let key_given = line.key.is_some() || line.sealed_key.is_some();
    let counters = line.counters();
    let max_domains = line.max_domains.unwrap_or(plan.max_domains);
    let max_devices = line.max_devices.unwrap_or(plan.max_devices);
    let mut license = License {
        id,
        key_digest,
        sealed_key,
        state,
        product: plan.product.clone(),
        plan: line.plan,
        customer_email: line.customer_email,
        max_domains,
        max_devices,
        domains_used: 0,
        devices_used: 0,
        created_at,
        activated_at: line.activated_at.map(|time| time.0),
        expires_at: None,
        metadata: line.metadata,
        version: line.version.unwrap_or(1),
        last_event: line.last_event.unwrap_or_default(),
        expiry_notice: None,
        anchor_day: None,
        term: LicenseTerm { starts: TermStart::Issue, started_at: None },
        updates_until: None,
        grants: line.grants,
        state_reason: line.state_reason,
        blocks: line.blocks,
        plan_version: *version,
        overrides: Overrides::of(plan, max_domains, max_devices),
        customer_name: line.customer_name,
        external_id: line.external_id,
        leased_until: line.leased_until.map(|time| time.0),
    };
    term.apply(&mut license, plan).map_err(|denial| own(ImportLineError::field("expires_at", denial)))?;
    // No event is due for a term that ended before the import.
    let has_ended = license.expires_at.is_some_and(|at| at <= rules.now);
    let notice = has_ended.then_some(ExpiryNotice { days: 0, at: rules.now });
    license.expiry_notice = line.expiry_notice.map_or(notice, |given| given.0.map(Into::into));
    check_handling(&mut license, line.last_event).map_err(own)?;
    let leases = RowLeases::new(leases, &mut license, line.last_event)?;
    let domains = line.domains.into_iter().map(Binding::Domain);
    let listed = domains.chain(line.devices.into_iter().flatten().map(Binding::Device));
    let mut activations: Vec<_> = activations.into_iter().map(|(at, line)| (Some(at), line)).collect();
    activations.extend(listed.map(|binding| (None, ActivationLine::listed(&license.id, binding))));
    // Activations with ids come first, so that the others get later numbers.
    activations.sort_by_key(|(_, line)| line.id.is_none());
    let mut slots = RowSlots::new(line.last_event);
    for (at, activation) in activations {
        slots.add(at, activation, &mut license, plan, rules.now, &mut notes).map_err(|error| (at, error))?;
    }
    (license.domains_used, license.devices_used) = (slots.domains, slots.devices);
    if !rules.over_limit {
        for (slots, kind) in [("domains", ActivationKind::Domain), ("devices", ActivationKind::Device)] {
            let Slots { used: held, limit } = license.slots(kind);
            if license.slots_with_over_limit(kind, plan).is_over() {
                let how = format!("raise max_{slots}, or accept licenses over their limit (--over-limit)");
                let why = format!("the license has {held} {slots}, but max_{slots} is {limit}: {how}");
                return Err(own(ImportLineError::new(why)));
            }
        }
    }
    slots.activations.sort_unstable_by(|a, b| a.activation.id.cmp(&b.activation.id));
    let leases = leases.held_by(&slots, &mut license)?;
    let events = if rules.events {
        imported_event(&mut license, counters, &slots.activations, rules.now)
    } else {
        Vec::new()
    };
    let activations = slots.activations;
    let trial_claims = Vec::new();
    let imported =
        ImportedLicense { license, counters, activations, events, id_given, key_given, trial_claims, leases };
    Ok((imported, notes))
}

/// Checks what the vendor noted: the reason of the state, and the blocks.
/// Returns the plan version that the line names, or the current one.
fn plan_version<'a>(line: &LicenseLine, plans: &'a PlanCatalog) -> Result<&'a PlanVersion, ImportLineError> {
    let Some(entry) = plans.entry(&line.plan) else {
        let names = plans.iter().map(|plan| plan.name.as_str()).collect::<Vec<_>>().join(", ");
        let why = format!("there is no such plan; the plans are {names}");
        return Err(ImportLineError::value("plan", &line.plan.as_str().into(), why));
    };
    let Some(number) = line.plan_version else { return Ok(entry.current()) };
    entry.version(number).ok_or_else(|| {
        let (plan, last) = (&line.plan, entry.current().version);
        let why = format!(
            "the plan {plan:?} has the versions 1 to {last} only; import the lines of its plan first"
        );
        ImportLineError::value("plan_version", &number.into(), why)
    })
}

fn check_handling(license: &mut License, last_event: Option<u64>) -> Result<(), ImportLineError> {
    if license.state == LicenseState::Active && license.state_reason.is_some() {
        return Err(ImportLineError::field("state_reason", "only suspended and revoked licenses have one"));
    }
    let wrong = |why: String| ImportLineError::field("blocks", why);
    let (mut ids, mut bindings) = (BTreeSet::new(), BTreeSet::new());
    for Block { id, binding, .. } in license.blocks.iter() {
        let number = id.number_of(&license.id);
        let number =
            number.filter(|number| last_event.is_none_or(|last| *number <= last)).ok_or_else(|| {
                wrong(format!(
                    "{id} must belong to the license, with a number up to the license's last_event"
                ))
            })?;
        license.last_event = license.last_event.max(number);
        if !ids.insert(id) || !bindings.insert(binding) {
            return Err(wrong(format!("{id} or its value occurs twice; remove one of them")));
        }
    }
    if ids.len() > limits::BLOCKS {
        return Err(wrong(format!("a license can have at most {}", limits::BLOCKS)));
    }
    Ok(())
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

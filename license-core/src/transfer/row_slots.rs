//! The activations of an imported license.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::error::ImportLineError;
use super::line::ActivationLine;
use super::note::ImportNote;
use crate::catalog::Plan;
use crate::license::{Activation, ActivationId, Binding, License};
use crate::limits;
use crate::usage::ActivationDetail;

/// Activations that hold the slots of one license.
pub(super) struct RowSlots {
    pub(super) activations: Vec<ActivationDetail>,
    pub(super) domains: u64,
    pub(super) devices: u64,
    ids: HashSet<ActivationId>,
    bindings: HashSet<Binding>,
    /// Activations that need no slot.
    pub(super) left_out: HashSet<ActivationId>,
    /// The last event of the license line: numbers of activations are not above it.
    last_event: Option<u64>,
}

impl RowSlots {
    pub(super) fn new(last_event: Option<u64>) -> Self {
        Self {
            activations: Vec::new(),
            domains: 0,
            devices: 0,
            ids: HashSet::new(),
            bindings: HashSet::new(),
            left_out: HashSet::new(),
            last_event,
        }
    }

    /// Adds an activation, from its own line or (`at` is `None`) from the line of the license.
    ///
    /// Leaves out what needs no slot: hosts that the plan exempts, and what the license line repeats.
    pub(super) fn add(
        &mut self,
        at: Option<u64>,
        line: ActivationLine,
        license: &mut License,
        plan: &Plan,
        now: DateTime<Utc>,
        notes: &mut Vec<ImportNote>,
    ) -> Result<(), ImportLineError> {
        let ActivationLine { license: _, id, binding, created_at, label, last_seen, held_until, is_returned } =
            line;
        match &binding {
            Binding::Domain(domain) if plan.exempt_hosts.contains(domain) => {
                notes.push(ImportNote::ExemptDomain { domain: domain.clone() });
                self.left_out.extend(id);
                return Ok(());
            }
            _ if at.is_none() && self.bindings.contains(&binding) => {
                notes.push(ImportNote::Duplicate { binding });
                return Ok(());
            }
            _ => {}
        }
        if self.activations.len() >= limits::IMPORT_ACTIVATIONS {
            return Err(ImportLineError::too_many_activations());
        }
        let id = if let Some(id) = id {
            let number = id.number_of(&license.id);
            let number = number.filter(|number| self.last_event.is_none_or(|last| *number <= last));
            let why = "it must belong to the license, with a number up to the license's last_event";
            let number = number.ok_or_else(|| ImportLineError::value("id", &id.as_str().into(), why))?;
            license.last_event = license.last_event.max(number);
            id
        } else {
            license.last_event += 1;
            ActivationId::new(&license.id, license.last_event)
        };
        if !self.ids.insert(id.clone()) {
            let why = "the license has another activation with this id; remove one of the lines";
            return Err(ImportLineError::value("id", &id.as_str().into(), why));
        }
        if !self.bindings.insert(binding.clone()) {
            let why = "the license has this activation already; remove one of the lines";
            return Err(ImportLineError::value("value", &binding.value().into(), why));
        }
        match &binding {
            Binding::Domain(_) => self.domains += 1,
            Binding::Device(_) => self.devices += 1,
        }
        let created_at = created_at.map_or(now, |time| time.0);
        let held_until = held_until.map(|time| time.0);
        license.leased_until = license.leased_until.max(held_until);
        let activation = Activation { id, binding, created_at, label, held_until, is_returned };
        self.activations.push(ActivationDetail { activation, last_seen });
        Ok(())
    }
}

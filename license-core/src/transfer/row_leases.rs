//! The leases of an imported license.

use std::collections::HashSet;

use super::error::{ImportLineError, Rejection};
use super::row_slots::RowSlots;
use crate::license::{ActivationId, Lease, License};

/// The leases of one license, with the numbers of their lines.
pub(super) struct RowLeases(Vec<(u64, Lease)>);

impl RowLeases {
    /// Checks the ids, and that new events of the license get other numbers than its leases.
    pub(super) fn new(
        leases: Vec<(u64, Lease)>,
        license: &mut License,
        last_event: Option<u64>,
    ) -> Result<Self, Rejection> {
        let mut ids = HashSet::new();
        for (at, Lease { id, .. }) in &leases {
            let wrong = |why: &str| (Some(*at), ImportLineError::value("id", &id.as_str().into(), why));
            let number = id.number_of(&license.id);
            let number = number.filter(|number| last_event.is_none_or(|last| *number <= last));
            let why = "it must belong to the license, with a number up to the license's last_event";
            license.last_event = license.last_event.max(number.ok_or_else(|| wrong(why))?);
            if !ids.insert(id) {
                return Err(wrong("the license has another lease with this id; remove one of the lines"));
            }
        }
        Ok(Self(leases))
    }

    /// Returns the leases, ordered by id. Slots must be held until the leases that have not ended are over.
    pub(super) fn held_by(self, slots: &RowSlots, license: &mut License) -> Result<Vec<Lease>, Rejection> {
        let mut leases = Vec::with_capacity(self.0.len());
        for (at, mut lease) in self.0 {
            lease.domain.take_if(|domain| slots.left_out.contains(domain));
            if lease.ended.is_none() {
                for (field, id) in [("device", Some(&lease.device)), ("domain", lease.domain.as_ref())] {
                    check_held(field, id, &lease, slots).map_err(|error| (Some(at), error))?;
                }
            }
            license.leased_until = license.leased_until.max(Some(lease.accepted_until()));
            leases.push(lease);
        }
        leases.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(leases)
    }
}

fn check_held(
    field: &str,
    id: Option<&ActivationId>,
    lease: &Lease,
    slots: &RowSlots,
) -> Result<(), ImportLineError> {
    let Some(id) = id else { return Ok(()) };
    let wrong = |why: &str| ImportLineError::value(field, &id.as_str().into(), why);
    let index = slots.activations.binary_search_by(|detail| detail.activation.id.cmp(id));
    let index = index.map_err(|_| wrong("the license has no such activation; add its line"))?;
    if slots.activations[index].activation.held_until.is_none_or(|until| until < lease.accepted_until()) {
        return Err(wrong(
            "the held_until of the activation must be at least five minutes after the lease expires",
        ));
    }
    Ok(())
}

//! Grants features of one license.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::Draft;
use super::lifecycle::refuse_revoked;
use crate::event::EventType;
use crate::license::{Grant, GrantId, Grants};
use crate::validation::Denial;

/// Returns the grants of a new license.
pub(super) fn new_grants(given: &[Grant], now: DateTime<Utc>) -> Result<Grants, Denial> {
    let mut grants = Grants::default();
    given.iter().try_for_each(|grant| add_to(&mut grants, grant, now))?;
    Ok(grants)
}

/// Adds a grant. The same grant again changes nothing, even if it has ended.
pub(super) fn add(draft: &mut Draft, grant: &Grant) -> Result<(), Denial> {
    refuse_revoked(draft)?;
    if draft.license.grants.iter().any(|held| held == grant) {
        return Ok(());
    }
    add_to(&mut draft.license.grants, grant, draft.now)?;
    changed(draft);
    Ok(())
}

pub(super) fn remove(draft: &mut Draft, id: &GrantId) -> Result<(), Denial> {
    refuse_revoked(draft)?;
    if !draft.license.grants.remove(id, draft.now) {
        return Err(Denial::GrantNotFound);
    }
    changed(draft);
    Ok(())
}

fn add_to(grants: &mut Grants, grant: &Grant, now: DateTime<Utc>) -> Result<(), Denial> {
    if let Some(until) = grant.end().filter(|end| *end <= now) {
        return Err(Denial::GrantEnded { until });
    }
    grants.add(grant.clone(), now).map_err(|_| Denial::GrantLimitReached)
}

fn changed(draft: &mut Draft) {
    draft.emit(EventType::LicenseUpdated, json!({ "fields": ["grants"] }));
}

//! Moves a license to a newer version of its plan.

use serde_json::json;

use super::Draft;
use super::audit::changed_fields;
use super::lifecycle::refuse_revoked;
use super::term::move_updates;
use crate::catalog::PlanCatalog;
use crate::event::EventType;
use crate::validation::{Denial, plan_of};

/// Moves the license to a version of its plan. Changes nothing if the license has another plan by now, or this
/// version or a newer one.
pub(super) fn apply_plan(
    draft: &mut Draft,
    name: &str,
    version: u32,
    plans: &PlanCatalog,
) -> Result<(), Denial> {
    if draft.license.plan != name || draft.license.plan_version >= version {
        return Ok(());
    }
    refuse_revoked(draft)?;
    let before = draft.license.clone();
    let license = &mut draft.license;
    license.plan_version = version;
    let plan = plan_of(license, plans)?;
    if !license.overrides.max_domains {
        license.max_domains = plan.max_domains;
    }
    if !license.overrides.max_devices {
        license.max_devices = plan.max_devices;
    }
    move_updates(license, plan, draft.now)?;
    let fields: Vec<_> = changed_fields(&before, license).map(|(name, ..)| name).collect();
    draft.emit(EventType::LicenseUpdated, json!({ "fields": fields }));
    Ok(())
}

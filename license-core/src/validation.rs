//! Validations: the claim, the rule that evaluates it, and the verdict.

mod assess;
mod bindings;
mod claim;
mod denial;
mod denied_license;
mod snapshot;
mod verdict;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::catalog::{Plan, PlanCatalog, PlanVersion};
use crate::license::License;

pub(crate) use assess::{Needed, assess, evicted, refuse_inactive};
pub use claim::Claim;
pub use denial::{Denial, DenialCode};
pub use denied_license::DeniedLicense;
pub use snapshot::{HeldSlots, LicenseSnapshot, without_key};
pub use verdict::{ValidLicense, Verdict};

/// The result of [`evaluate`].
#[derive(Clone, Debug, PartialEq)]
pub enum Evaluation {
    /// The verdict is final.
    Decided(Verdict),
    /// Valid once [`Command::Activate`](crate::command::Command::Activate) has taken the missing slots.
    NeedsActivation,
}

/// Evaluates a claim on a license at `now`. Pure.
///
/// # Errors
/// Returns [`Denial::PlanUnknown`] if the catalog lacks the plan of an active license.
pub fn evaluate(
    snapshot: &LicenseSnapshot,
    claim: &Claim,
    plans: &PlanCatalog,
    now: DateTime<Utc>,
) -> Result<Evaluation, Denial> {
    let license = snapshot.license();
    let plan = plan_of(license, plans);
    Ok(match assess(license, plan.clone().map(AsRef::as_ref), snapshot.held(claim), claim, now) {
        // Only the store knows the numbers of held slots.
        Err(denials) if license.may_have_leases(now) && denials.iter().any(is_device_limit) => {
            Evaluation::NeedsActivation
        }
        Err(denials) => {
            let denied = DeniedLicense::new(denials, snapshot.shared_license())?;
            Evaluation::Decided(Verdict::Denied(denied))
        }
        Ok(needed) if needed == Needed::default() => {
            Evaluation::Decided(Verdict::Valid(ValidLicense::new(snapshot.clone(), plan?, now)))
        }
        Ok(_) => Evaluation::NeedsActivation,
    })
}

fn is_device_limit(denial: &Denial) -> bool {
    matches!(denial, Denial::DeviceLimitReached { .. })
}

/// Returns the verdict after an activation at `now`, given the updated license.
///
/// # Errors
/// Returns [`Denial::PlanUnknown`] as [`evaluate`] does.
pub(crate) fn activated(
    license: Arc<License>,
    plans: &PlanCatalog,
    now: DateTime<Utc>,
) -> Result<Verdict, Denial> {
    // The verdict shows the license only, not its bindings.
    let snapshot = LicenseSnapshot::new(license, []);
    let plan = plan_of(snapshot.license(), plans)?;
    Ok(Verdict::Valid(ValidLicense::new(snapshot.clone(), plan, now)))
}

/// Returns the plan version of the license.
pub(crate) fn plan_of<'a>(license: &License, plans: &'a PlanCatalog) -> Result<&'a Arc<Plan>, Denial> {
    let License { plan, plan_version, .. } = license;
    plans.version(plan, *plan_version).ok_or_else(|| {
        let version = if *plan_version == 1 { String::new() } else { format!(" version {plan_version}") };
        plan_unknown(&format!("{plan}{version}"), plans)
    })
}

/// Returns the current version of a plan.
pub(crate) fn current_version<'a>(name: &str, plans: &'a PlanCatalog) -> Result<&'a PlanVersion, Denial> {
    plans.entry(name).map(|entry| entry.current()).ok_or_else(|| plan_unknown(name, plans))
}

/// Returns the current version of a plan that licenses can be sold with or moved to.
pub(crate) fn plan_for_sale<'a>(name: &str, plans: &'a PlanCatalog) -> Result<&'a PlanVersion, Denial> {
    let version = current_version(name, plans)?;
    if plans.entry(name).is_some_and(|entry| entry.is_available()) {
        Ok(version)
    } else {
        Err(Denial::PlanArchived { plan: name.to_owned(), plans: plans.available() })
    }
}

/// The denial that lists the plans.
fn plan_unknown(name: &str, plans: &PlanCatalog) -> Denial {
    Denial::PlanUnknown { plan: name.to_owned(), plans: plans.available() }
}

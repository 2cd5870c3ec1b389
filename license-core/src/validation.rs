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

use crate::catalog::{Plan, PlanCatalog};
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

pub(crate) fn plan_of<'a>(license: &License, plans: &'a PlanCatalog) -> Result<&'a Arc<Plan>, Denial> {
    plan_named(&license.plan, plans)
}

/// Returns the plan with this name, or the denial that lists all plans.
pub(crate) fn plan_named<'a>(name: &str, plans: &'a PlanCatalog) -> Result<&'a Arc<Plan>, Denial> {
    plans.get(name).ok_or_else(|| Denial::PlanUnknown {
        plan: name.to_owned(),
        plans: plans.iter().map(|plan| plan.name.clone()).collect(),
    })
}

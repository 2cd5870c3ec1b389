//! Validations: the claim, the rule that evaluates it, and the verdict.

mod assess;
mod bindings;
mod claim;
mod denial;
mod snapshot;
mod verdict;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::catalog::{Plan, PlanCatalog};
use crate::license::License;

pub(crate) use assess::{Needed, assess, evicted, refuse_inactive};
pub use claim::Claim;
pub use denial::{Denial, DenialCode};
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
    Ok(match assess(license, plans, snapshot.held(claim), claim, now) {
        Err(unknown @ Denial::PlanUnknown { .. }) => return Err(unknown),
        Err(denial) => Evaluation::Decided(Verdict::Denied(denial)),
        Ok(needed) if needed == Needed::default() => {
            let plan = Arc::clone(plan_of(license, plans)?);
            Evaluation::Decided(Verdict::Valid(ValidLicense { snapshot: snapshot.clone(), plan }))
        }
        Ok(_) => Evaluation::NeedsActivation,
    })
}

/// Returns the verdict after an activation, given the updated license.
///
/// # Errors
/// Returns [`Denial::PlanUnknown`] as [`evaluate`] does.
pub(crate) fn activated(license: Arc<License>, plans: &PlanCatalog) -> Result<Verdict, Denial> {
    let plan = Arc::clone(plan_of(&license, plans)?);
    // The verdict shows the license only, not its bindings.
    Ok(Verdict::Valid(ValidLicense { snapshot: LicenseSnapshot::new(license, []), plan }))
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

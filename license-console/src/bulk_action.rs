//! The actions on many licenses, with the words of their pages.

use license_core::bulk::BulkAction;
use license_core::validation::DenialCode;

/// The actions that people can choose, with their labels.
pub(crate) const CHOICES: [(&str, &str); 5] = [
    ("suspend", "Suspend"),
    ("reinstate", "Reinstate"),
    ("renew", "Renew"),
    ("move_plan", "Move to a plan"),
    ("revoke", "Revoke"),
];

/// Returns the text of the button and of the title.
pub(crate) fn label(action: &BulkAction) -> String {
    match action {
        BulkAction::Suspend => "Suspend".to_owned(),
        BulkAction::Reinstate => "Reinstate".to_owned(),
        BulkAction::Renew => "Renew".to_owned(),
        BulkAction::Revoke => "Revoke".to_owned(),
        BulkAction::MovePlan { plan } => format!("Move to plan {plan}"),
        BulkAction::ApplyPlan { plan, version } => format!("Move to version {version} of plan {plan}"),
    }
}

/// Returns what the action does to each license.
pub(crate) fn effect(action: &BulkAction) -> &'static str {
    match action {
        BulkAction::Suspend => "Validations are denied until you reinstate the licenses.",
        BulkAction::Reinstate => "Validations are answered again.",
        BulkAction::Renew => "Each license ends later by the term of its plan.",
        BulkAction::Revoke => "Validations are denied from now on. A revoked license cannot be brought back.",
        BulkAction::MovePlan { .. } | BulkAction::ApplyPlan { .. } => {
            "Each license gets the terms of the current version of the plan. Its end stays. Limits that were set \
             for one license are replaced."
        }
    }
}

/// Returns the word to type before the action; `None` if it can be undone.
pub(crate) fn confirmation(action: &BulkAction) -> Option<&'static str> {
    (*action == BulkAction::Revoke).then_some("revoke")
}

/// Returns why a license denies an action, in words.
pub(crate) fn why(code: DenialCode) -> &'static str {
    match code {
        DenialCode::LicenseRevoked => "The license is revoked.",
        DenialCode::PlanUnknown => "Its plan is unknown.",
        DenialCode::PlanArchived => "The plan is archived.",
        DenialCode::ProductDiffers => "The plan is one of another product.",
        DenialCode::TrialUsed => "The customer has had the trial before.",
        DenialCode::CustomerRequired => "The trial needs a customer, and the license has none.",
        DenialCode::LicensePerpetual => "It never ends.",
        DenialCode::TermNotStarted => "Its term starts with its first use.",
        DenialCode::ExpiryTooFar => "It would end later than is possible.",
        code => code.as_str(),
    }
}

//! The action of a job, and its outcome for one license.

use chrono::{DateTime, TimeDelta, Utc};

use crate::command::{Command, LicensePatch};
use crate::validation::DenialCode;

/// Time after which all nodes have heard of a change of the catalog: they look for one every five seconds.
const CHANGE_HEARD: TimeDelta = TimeDelta::seconds(10);

/// The action of a job on each of its licenses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkAction {
    /// [`Command::Suspend`].
    Suspend,
    /// [`Command::Reinstate`].
    Reinstate,
    /// [`Command::Renew`].
    Renew,
    /// [`Command::Revoke`].
    Revoke,
    /// Changes the plan, with the effect that [`LicensePatch::plan`] has.
    MovePlan {
        /// The name of the new plan.
        plan: String,
    },
    /// [`Command::ApplyPlan`]. Jobs of this action come from a change of a plan.
    ApplyPlan {
        /// The name of the plan.
        plan: String,
        /// The version to which its licenses move.
        version: u32,
    },
}

impl BulkAction {
    /// The names of the actions that a caller can choose, as in JSON and databases.
    pub const NAMES: [&str; 5] = ["suspend", "reinstate", "renew", "revoke", "move_plan"];

    /// Returns the name, as in JSON and databases.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Reinstate => "reinstate",
            Self::Renew => "renew",
            Self::Revoke => "revoke",
            Self::MovePlan { .. } => "move_plan",
            Self::ApplyPlan { .. } => "apply_plan",
        }
    }

    /// Returns the plan of [`MovePlan`](Self::MovePlan) or [`ApplyPlan`](Self::ApplyPlan).
    #[must_use]
    pub fn plan(&self) -> Option<&str> {
        match self {
            Self::MovePlan { plan } | Self::ApplyPlan { plan, .. } => Some(plan),
            Self::Suspend | Self::Reinstate | Self::Renew | Self::Revoke => None,
        }
    }

    /// Returns the version of [`ApplyPlan`](Self::ApplyPlan).
    #[must_use]
    pub fn plan_version(&self) -> Option<u32> {
        if let Self::ApplyPlan { version, .. } = self { Some(*version) } else { None }
    }

    /// Returns the action of a caller with this name. Returns `None` if there is none, or if it needs a plan
    /// and there is no plan, or the other way round.
    #[must_use]
    pub fn named(name: &str, plan: Option<String>) -> Option<Self> {
        Some(match (name, plan) {
            ("suspend", None) => Self::Suspend,
            ("reinstate", None) => Self::Reinstate,
            ("renew", None) => Self::Renew,
            ("revoke", None) => Self::Revoke,
            ("move_plan", Some(plan)) => Self::MovePlan { plan },
            _ => return None,
        })
    }

    /// Parses the stored form: the name, the plan and the version.
    #[must_use]
    pub fn from_stored(name: &str, plan: Option<String>, version: Option<u32>) -> Option<Self> {
        match (name, plan, version) {
            ("apply_plan", Some(plan), Some(version)) => Some(Self::ApplyPlan { plan, version }),
            (name, plan, None) => Self::named(name, plan),
            _ => None,
        }
    }

    /// Returns the earliest time at which a job that was created at `created_at` can be completed. A job of
    /// [`ApplyPlan`](Self::ApplyPlan) waits for other nodes, which may sell older versions until they hear of the
    /// change.
    #[must_use]
    pub fn completes_from(&self, created_at: DateTime<Utc>) -> DateTime<Utc> {
        let wait = if let Self::ApplyPlan { .. } = self { CHANGE_HEARD } else { TimeDelta::zero() };
        created_at.checked_add_signed(wait).unwrap_or(created_at)
    }

    /// Returns the command on each license.
    #[must_use]
    pub fn command(&self) -> Command {
        match self {
            Self::Suspend => Command::Suspend,
            Self::Reinstate => Command::Reinstate,
            Self::Renew => Command::Renew,
            Self::Revoke => Command::Revoke,
            Self::MovePlan { plan } => Command::Change(LicensePatch::default().plan(plan.clone())),
            Self::ApplyPlan { plan, version } => Command::ApplyPlan { plan: plan.clone(), version: *version },
        }
    }
}

/// The outcome of a job for one license.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LicenseOutcome {
    /// The license is as the action leaves it, also if it was so before.
    Done,
    /// A rule denied the action.
    Denied(DenialCode),
    /// No license has the id.
    NotFound,
    /// The row of the license is damaged.
    Failed,
}

impl LicenseOutcome {
    /// Returns `done`, `not_found`, `failed` or the code of the denial, as in databases.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied(code) => code.as_str(),
            Self::NotFound => "not_found",
            Self::Failed => "failed",
        }
    }

    /// Parses the stored form.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        match text {
            "done" => Some(Self::Done),
            "not_found" => Some(Self::NotFound),
            "failed" => Some(Self::Failed),
            code => DenialCode::parse(code).map(Self::Denied),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_parse_as_named() {
        for name in BulkAction::NAMES {
            let plan = (name == "move_plan").then(|| "team".to_owned());
            let action = BulkAction::named(name, plan.clone()).expect(name);
            assert_eq!((action.name(), action.plan()), (name, plan.as_deref()));
            let wrong = if plan.is_some() { None } else { Some("team".to_owned()) };
            assert_eq!(BulkAction::named(name, wrong), None, "{name}");
        }
        assert_eq!(BulkAction::named("delete", None), None);
    }

    #[test]
    fn actions_parse_as_stored() {
        let plan = || "team".to_owned();
        for action in [
            BulkAction::Suspend,
            BulkAction::Reinstate,
            BulkAction::Renew,
            BulkAction::Revoke,
            BulkAction::MovePlan { plan: plan() },
            BulkAction::ApplyPlan { plan: plan(), version: 3 },
        ] {
            let stored = (action.plan().map(str::to_owned), action.plan_version());
            assert_eq!(BulkAction::from_stored(action.name(), stored.0, stored.1), Some(action));
        }
        assert_eq!(BulkAction::named("apply_plan", Some(plan())), None, "no caller can choose it");
        assert_eq!(BulkAction::from_stored("apply_plan", Some(plan()), None), None);
        assert_eq!(BulkAction::from_stored("suspend", None, Some(3)), None);
    }

    #[test]
    fn outcomes_parse_as_stored() {
        let denied = DenialCode::ALL.into_iter().map(LicenseOutcome::Denied);
        let others = [LicenseOutcome::Done, LicenseOutcome::NotFound, LicenseOutcome::Failed];
        for outcome in others.into_iter().chain(denied) {
            assert_eq!(LicenseOutcome::from_stored(outcome.as_str()), Some(outcome));
        }
        assert_eq!(LicenseOutcome::from_stored("DONE"), None);
    }
}

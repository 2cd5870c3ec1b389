//! The answer to a validation.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::denied_license::DeniedLicense;
use super::snapshot::LicenseSnapshot;
use crate::catalog::{FeatureValue, Features, Plan};
use crate::license::License;

/// The answer to a validation.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The software may run.
    Valid(ValidLicense),
    /// No license has this key.
    NotFound,
    /// The license exists, but a rule denies this use.
    Denied(DeniedLicense),
}

impl Verdict {
    /// Returns whether this is [`Verdict::Valid`].
    #[must_use]
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid(_))
    }
}

/// The license of a valid answer. Cloning is cheap.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidLicense {
    snapshot: LicenseSnapshot,
    features: Arc<Features>,
}

impl ValidLicense {
    /// Creates the answer at `now`.
    pub(super) fn new(snapshot: LicenseSnapshot, plan: &Plan, now: DateTime<Utc>) -> Self {
        let features = snapshot.license().grants.applied_to(&plan.features, now);
        Self { snapshot, features }
    }

    /// Returns the license.
    #[must_use]
    pub fn license(&self) -> &License {
        self.snapshot.license()
    }

    /// Returns the name of the plan.
    #[must_use]
    pub fn plan(&self) -> &str {
        &self.license().plan
    }

    /// Returns the expiry, which is in the past during the grace period.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.license().expires_at
    }

    /// Returns the end of the updates window; `None` if the plan has none.
    #[must_use]
    pub fn updates_until(&self) -> Option<DateTime<Utc>> {
        self.license().updates_until
    }

    /// Returns whether more slots are in use than a limit allows.
    #[must_use]
    pub fn is_over_limit(&self) -> bool {
        self.license().is_over_limit()
    }

    /// Returns the features of the plan, with the grants of the license that were in force.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Returns the value of a feature, or `None` if plan and grants lack it.
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&FeatureValue> {
        self.features().get(name)
    }
}

//! The answer to a validation.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::denial::Denial;
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
    Denied(Denial),
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
    pub(super) snapshot: LicenseSnapshot,
    pub(super) plan: Arc<Plan>,
}

impl ValidLicense {
    /// Returns the license.
    #[must_use]
    pub fn license(&self) -> &License {
        self.snapshot.license()
    }

    /// Returns the name of the plan.
    #[must_use]
    pub fn plan(&self) -> &str {
        &self.plan.name
    }

    /// Returns the expiry, which is in the past during the grace period.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.license().expires_at
    }

    /// Returns the end of the updates window; `None` if the plan has none.
    #[must_use]
    pub fn updates_until(&self) -> Option<DateTime<Utc>> {
        self.plan.updates.and(self.license().updates_until)
    }

    /// Returns whether more slots are in use than a limit allows.
    #[must_use]
    pub fn is_over_limit(&self) -> bool {
        self.license().is_over_limit()
    }

    /// Returns the features of the plan.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.plan.features
    }

    /// Returns the value of a feature, or `None` if the plan lacks it.
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&FeatureValue> {
        self.features().get(name)
    }
}

//! A license that did not get the action of its job.

use super::action::LicenseOutcome;
use crate::license::LicenseId;

/// A license of a job with an outcome other than [`LicenseOutcome::Done`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLicense {
    /// The license.
    pub id: LicenseId,
    /// Why it did not get the action.
    pub outcome: LicenseOutcome,
}

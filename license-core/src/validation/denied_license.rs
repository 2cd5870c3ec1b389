//! The license of a denied validation.

use std::fmt;
use std::sync::Arc;

use super::denial::{Denial, DenialCode};
use super::snapshot::without_key;
use crate::license::License;

/// Why a validation was denied, and the license at that moment. Its text is the message of the first reason.
///
/// ```
/// use license_core::license::ActivationKind;
/// use license_core::validation::DeniedLicense;
///
/// fn explain(denied: &DeniedLicense) -> String {
///     let used = denied.license().map_or(0, |license| license.slots(ActivationKind::Device).used);
///     format!("{denied} ({}), {used} devices", denied.code())
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DeniedLicense {
    reasons: Vec<Denial>,
    license: Option<Arc<License>>,
}

impl DeniedLicense {
    /// Creates the answer from the denials of all rules, of which there must be at least one. The license is
    /// left out if the caller must not learn anything about it.
    ///
    /// # Errors
    /// Returns [`Denial::PlanUnknown`] if that is the first denial: it is a fault of the catalog.
    pub(crate) fn new(reasons: Vec<Denial>, license: Arc<License>) -> Result<Self, Denial> {
        match reasons.first() {
            Some(unknown @ Denial::PlanUnknown { .. }) => Err(unknown.clone()),
            Some(Denial::ProductMismatch { .. } | Denial::ProductRequired) => {
                Ok(Self { reasons, license: None })
            }
            _ => Ok(Self { reasons, license: Some(without_key(license)) }),
        }
    }

    /// Returns the first reason, which decides.
    ///
    /// # Panics
    /// Never: there is at least one reason.
    #[must_use]
    pub fn reason(&self) -> &Denial {
        self.reasons.first().expect("a denied license has a reason")
    }

    /// Returns the code of the first reason.
    #[must_use]
    pub fn code(&self) -> DenialCode {
        self.reason().code()
    }

    /// Returns the reasons of all rules that deny the claim, in the order of the rules. A revoked license has
    /// no other reason, because nothing brings it back.
    #[must_use]
    pub fn reasons(&self) -> &[Denial] {
        &self.reasons
    }

    /// Returns the license, without its key. `None` if the software did not name the product of the license:
    /// then it learns nothing about the license.
    #[must_use]
    pub fn license(&self) -> Option<&License> {
        self.license.as_deref()
    }
}

impl fmt::Display for DeniedLicense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.reason(), f)
    }
}

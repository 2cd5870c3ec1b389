//! Trial claims of an import.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::ImportedLicense;
use crate::access::{Actor, AuditEntry};
use crate::catalog::{Plan, TrialHolder};
use crate::license::{Binding, License};
use crate::trial::{TrialClaim, TrialKeys, TrialSubject};

/// Trial claims to import in one commit.
#[derive(Clone, Debug)]
pub struct TrialClaimBatch {
    /// The claims, whose digests differ.
    pub claims: Vec<TrialClaim>,
    /// The time of the import.
    pub at: DateTime<Utc>,
    /// The actor for the audit; `None` writes no entry.
    pub by: Option<Arc<Actor>>,
}

impl TrialClaimBatch {
    /// Returns the audit entry: one for all new claims. Pure.
    #[must_use]
    pub fn audit(&self, new: u64) -> Option<AuditEntry> {
        self.by.as_ref().filter(|_| new > 0).map(|by| AuditEntry::of_trial_claims(new, by, self.at))
    }
}

/// Returns the claims of an imported license of a trial plan: its customer and the devices that hold a slot. An
/// erased customer has none, because its address is not known.
pub(crate) fn claims_of(new: &ImportedLicense, plan: &Plan, keys: &TrialKeys) -> Vec<TrialClaim> {
    let License { id, product, customer_email, .. } = &new.license;
    let customer = customer_email.iter().filter(|email| !email.is_pseudonym());
    let customer =
        customer.filter(|_| plan.is_trial_once_per(TrialHolder::Customer)).map(TrialSubject::Customer);
    let devices = new.activations.iter().filter_map(|detail| match &detail.activation.binding {
        Binding::Device(fingerprint) => Some(TrialSubject::Device(fingerprint)),
        Binding::Domain(_) => None,
    });
    let devices = devices.filter(|_| plan.is_trial_once_per(TrialHolder::Device));
    let digests = customer.chain(devices).flat_map(|subject| keys.digests(product, subject));
    digests.map(|digest| TrialClaim { digest, license: id.clone() }).collect()
}

//! Claims the trials of devices and customers.

use super::{Command, CommandContext, Draft, NewLicense};
use crate::catalog::{Plan, TrialHolder};
use crate::license::{Fingerprint, License};
use crate::trial::{TrialClaim, TrialDigest, TrialKeys, TrialSubject};
use crate::validation::{Claim, Denial};

/// The keys of digests, and the stored claims of the digests that a command can claim.
pub(super) struct Trials<'a> {
    pub(super) keys: &'a TrialKeys,
    pub(super) stored: &'a [TrialClaim],
}

impl Trials<'_> {
    /// Claims the trial of a device that takes a slot.
    pub(super) fn claim_device(
        &self,
        draft: &mut Draft,
        plan: &Plan,
        fingerprint: &Fingerprint,
    ) -> Result<(), Denial> {
        if plan.is_trial_once_per(TrialHolder::Device) {
            self.claim(draft, TrialSubject::Device(fingerprint))?;
        }
        Ok(())
    }

    /// Claims the trial of the customer.
    pub(super) fn claim_customer(&self, draft: &mut Draft, plan: &Plan) -> Result<(), Denial> {
        if plan.is_trial_once_per(TrialHolder::Customer) {
            let email = draft.license.customer_email.clone().ok_or(Denial::CustomerRequired)?;
            self.claim(draft, TrialSubject::Customer(&email))?;
        }
        Ok(())
    }

    fn claim(&self, draft: &mut Draft, subject: TrialSubject<'_>) -> Result<(), Denial> {
        let License { id, product, .. } = &draft.license;
        for digest in self.keys.digests(product, subject) {
            match self.stored.iter().find(|claim| claim.digest == digest) {
                Some(claim) if claim.license != *id => return Err(Denial::TrialUsed),
                Some(_) => {}
                None => draft.trial_claims.push(TrialClaim { digest, license: id.clone() }),
            }
        }
        Ok(())
    }
}

impl Command {
    /// Returns the digests of the trials that the command can claim. The store must read their claims, given the
    /// license under its lock.
    #[must_use]
    pub fn trial_digests(&self, license: &License, context: &CommandContext) -> Vec<TrialDigest> {
        let CommandContext { plans, trials, .. } = context;
        let digests = |subject| trials.digests(&license.product, subject).collect();
        let own = plans.version(&license.plan, license.plan_version);
        match self {
            Self::Activate(Claim { fingerprint: Some(fingerprint), .. })
                if own.is_some_and(|plan| plan.is_trial_once_per(TrialHolder::Device)) =>
            {
                digests(TrialSubject::Device(fingerprint))
            }
            Self::Change(patch) if patch.plan.is_some() || patch.customer_email.is_some() => {
                let plan = patch.plan.as_ref().map_or(own, |name| plans.get(name));
                let email = patch.customer_email.as_ref().unwrap_or(&license.customer_email);
                match email {
                    Some(email) if plan.is_some_and(|plan| plan.is_trial_once_per(TrialHolder::Customer)) => {
                        digests(TrialSubject::Customer(email))
                    }
                    _ => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }
}

/// Denies new licenses that share the trial of one customer.
///
/// # Errors
/// Returns [`Denial::TrialUsed`] if two of them claim the same trial.
pub(crate) fn refuse_shared_trials(new: &[NewLicense]) -> Result<(), Denial> {
    let mut digests: Vec<_> =
        new.iter().flat_map(|one| &one.trial_claims).map(|claim| claim.digest).collect();
    digests.sort_unstable();
    if digests.windows(2).any(|pair| pair[0] == pair[1]) { Err(Denial::TrialUsed) } else { Ok(()) }
}

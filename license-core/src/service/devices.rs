//! What becomes of slots: the customer's own release, and those that nobody uses.

use std::fmt;
use std::sync::Arc;

use super::{LicenseService, no_plan};
use crate::activation::{Binding, Fingerprint};
use crate::audit::{Actor, Who};
use crate::command::{Command, CommandContext, Outcome};
use crate::domain::DomainName;
use crate::error::{ServiceError, ValidateError};
use crate::license::License;
use crate::seen::IdleQuery;
use crate::transfer::read_key;
use crate::verdict::{Claim, Denial};

/// What a customer sends who frees a slot, as typed.
#[derive(Clone, Copy)]
pub struct DeactivateRequest<'a> {
    /// The license key.
    pub key: &'a str,
    /// What holds the slot.
    pub held: HeldBy<'a>,
}

/// What holds a slot, as typed.
#[derive(Clone, Copy, Debug)]
pub enum HeldBy<'a> {
    /// A domain.
    Domain(&'a str),
    /// A device, by its fingerprint.
    Device(&'a str),
}

impl fmt::Debug for DeactivateRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key: _, held } = self;
        f.debug_struct("DeactivateRequest").field("held", held).finish_non_exhaustive()
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Deactivated {
    /// The slot is free; the license as it is now.
    Released(Arc<License>),
    /// No license has this key.
    NotFound,
    /// It stays as it is. Where nothing of that name holds a slot, [`Denial::ActivationNotFound`]: so also when it is asked
    /// for again.
    Denied(Denial),
}

impl LicenseService {
    /// Frees the slot of a domain or a device, as a customer asks who has the license key, where the plan allows it. It is
    /// written to the audit; `actor` tells by which request.
    ///
    /// When it returns, no validation that begins finds the slot held.
    ///
    /// # Errors
    /// [`ValidateError`]: the request is malformed, or the store failed.
    pub async fn deactivate(
        &self,
        request: &DeactivateRequest<'_>,
        actor: Actor,
    ) -> Result<Deactivated, ValidateError> {
        let key = read_key(request.key, &self.key_format, || self.foreign().read(request.key))?;
        let binding = match request.held {
            HeldBy::Domain(text) => Binding::Domain(DomainName::parse(text)?),
            HeldBy::Device(text) => Binding::Device(Fingerprint::parse(text)?),
        };
        let now = self.clock.now();
        let (digest, claim) = (self.vault.digest(&key), Claim::of(&binding));
        let Some(standing) = self.store.license_by_key(&digest, &claim, now).await? else {
            return Ok(Deactivated::NotFound);
        };
        let id = &standing.license().id;
        let by = Some(Arc::new(Actor { who: Who::Customer, ..actor }));
        let context = CommandContext { plans: Arc::clone(&self.plans), now, expected_version: None, by };
        Ok(match self.store.execute(id, &Command::Deactivate(binding), &context).await? {
            Outcome::Done(license) => {
                // As with every command: a validation that read the license before may still be on its way.
                self.in_flight.drained().await;
                Deactivated::Released(license)
            }
            Outcome::Denied(denial @ Denial::PlanUnknown { .. }) => return Err(no_plan(id, denial)),
            Outcome::Denied(denial) => Deactivated::Denied(denial),
        })
    }

    /// Frees slots of devices that were not seen for as long as their plans say, of at most `limit` licenses of each plan. Gives
    /// how many licenses lost some: whoever has much to sweep calls again, until it is 0. Any number of nodes may sweep.
    ///
    /// # Errors
    /// A fault of the store; what was freed otherwise stays so. The fault of one license keeps no other from its turn.
    pub async fn sweep_idle(&self, limit: u32) -> Result<u32, ServiceError> {
        let now = self.clock.now();
        let by = Some(Arc::new(Actor::new(Who::System)));
        let context = CommandContext { plans: Arc::clone(&self.plans), now, expected_version: None, by };
        let (mut swept, mut fault) = (0, None);
        for plan in self.plans.iter() {
            let Some(before) = plan.idle().and_then(|idle| now.checked_sub_signed(idle)) else { continue };
            let query = IdleQuery { plan: &plan.name, before, limit };
            for id in self.store.idle(&query).await? {
                match self.store.execute(&id, &Command::ReleaseIdle, &context).await {
                    Ok(Outcome::Done(_)) => swept += 1,
                    // It was seen meanwhile, or another node was here before.
                    Ok(Outcome::Denied(_)) => {}
                    Err(error) => fault = Some(error),
                }
            }
        }
        fault.map_or(Ok(swept), |error| Err(error.into()))
    }
}

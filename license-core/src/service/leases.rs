//! Issues leases, takes them back and lists them.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::clock::ClockService;
use super::context::ServiceContext;
use super::signing_keys::SigningKeyService;
use super::validation::{ValidateRequest, plan_unknown};
use crate::access::{Actor, Principal};
use crate::command::{Command, CommandOutcome, NewLease};
use crate::debug::partial_debug;
use crate::error::{ServiceError, ValidateError};
use crate::license::{Lease, LeaseId, License, LicenseId};
use crate::signing::SigningKeyId;
use crate::store::{LeaseStore, LicenseStore, Page, PageRequest, StoreError};
use crate::usage::{Validation, ValidationOutcome};
use crate::validation::{Denial, DeniedLicense};

/// Attempts to issue a lease, if the signing key is replaced meanwhile.
const ATTEMPTS: u32 = 3;

/// A request for a lease, as received.
#[derive(Clone, Copy, Debug)]
pub struct IssueRequest<'a> {
    /// The key, the device and the other parts of a validation.
    pub validation: ValidateRequest<'a>,
    /// The wanted time in days; `None` is as long as the plan allows.
    pub days: Option<u32>,
    /// The nonce of the request code that the lease answers, if any.
    pub nonce: Option<&'a str>,
    /// The issuer in the claims: the public URL of the server, or another name.
    pub issuer: &'a str,
}

/// The answer to a request for a lease.
#[derive(Clone, Debug, PartialEq)]
pub enum Issued {
    /// The lease, whose claims the caller signs with its key, and the license after it.
    Lease(Box<Lease>, Arc<License>),
    /// No license has this key.
    NotFound,
    /// A rule denies the lease.
    Denied(DeniedLicense),
}

/// Issues leases, takes them back and lists them.
#[derive(Clone)]
pub struct LeaseService {
    pub(super) leases: Arc<dyn LeaseStore>,
    pub(super) licenses: Arc<dyn LicenseStore>,
    pub(super) signing_keys: SigningKeyService,
    pub(super) clock: ClockService,
    pub(super) context: Arc<ServiceContext>,
}

partial_debug!(LeaseService { leases, licenses, signing_keys, context });

impl LeaseService {
    /// Validates a key, takes the slots that the lease needs, and issues the lease. It counts as a validation.
    ///
    /// # Errors
    /// Returns [`ValidateError`] as a validation does, and [`ValidateError::ClockImplausible`] while the clock of this
    /// node is implausible.
    pub async fn issue(&self, request: &IssueRequest<'_>) -> Result<Issued, ValidateError> {
        let key = self.context.read_key(request.validation.key)?;
        let claim = request.validation.claim()?;
        let digest = self.context.vault.digest(&key);
        let _running = self.context.barrier.begin();
        let now = self.clock.plausible_now().ok_or(ValidateError::ClockImplausible)?;
        let Some(snapshot) = self.licenses.find_by_key(&digest, &claim).await? else {
            return Ok(Issued::NotFound);
        };
        let id = &snapshot.license().id;
        let new = NewLease {
            claim: claim.clone(),
            days: request.days,
            nonce: request.nonce.map(str::to_owned),
            signing_key: self.active_key()?,
            issuer: request.issuer.to_owned(),
        };
        let (issued, outcome) = match self.execute(id, new, now).await? {
            CommandOutcome::Done(license) | CommandOutcome::Repeated(license) => {
                let lease = self.leases.find_lease(&LeaseId::new(id, license.last_event)).await?;
                let missing = || StoreError::Contended { source: "the lease was pruned".into() };
                let lease = Box::new(lease.ok_or_else(missing)?);
                (Issued::Lease(lease, license), ValidationOutcome::Valid)
            }
            CommandOutcome::NotActivated(denied) => {
                let outcome = ValidationOutcome::Denied(denied.code());
                (Issued::Denied(denied), outcome)
            }
            CommandOutcome::Denied(Denial::SigningKeyInactive) => return Err(no_active_key().into()),
            CommandOutcome::Denied(denial) => return Err(plan_unknown(id, denial)),
        };
        let validation = Validation::new(id.clone(), now, outcome, claim.of_slots());
        let location = request.validation.location.cloned();
        self.licenses.record(&[Validation { location, ..validation }], None).await?;
        Ok(issued)
    }

    /// Executes the command. If another node replaced the signing key, repeats it with the active one.
    async fn execute(
        &self,
        id: &LicenseId,
        mut new: NewLease,
        now: DateTime<Utc>,
    ) -> Result<CommandOutcome, ValidateError> {
        let context = self.context.command(now, None, None);
        let mut attempt = 1;
        loop {
            let command = Command::Lease(new.clone());
            let outcome = self.context.execute(&*self.licenses, id, &command, &context).await?;
            if attempt == ATTEMPTS || outcome != CommandOutcome::Denied(Denial::SigningKeyInactive) {
                return Ok(outcome);
            }
            attempt += 1;
            self.signing_keys.load().await?;
            new.signing_key = self.active_key()?;
        }
    }

    fn active_key(&self) -> Result<SigningKeyId, StoreError> {
        self.signing_keys.current().active().map(|key| key.id.clone()).ok_or_else(no_active_key)
    }

    /// Hands a lease back, and all others of its device.
    ///
    /// # Errors
    /// Returns [`Denial::LeaseNotFound`] as [`ServiceError::Denied`] if there is no such lease, or it has ended.
    pub async fn hand_back(&self, id: &LeaseId, actor: Actor) -> Result<Arc<License>, ServiceError> {
        let license = id.license_id().ok_or(ServiceError::Denied(Denial::LeaseNotFound))?;
        let by = Arc::new(Actor { principal: Principal::Customer, ..actor });
        let context = self.context.command(self.context.now(), None, Some(by));
        let command = Command::ReturnLease(id.clone());
        match self.context.execute(&*self.licenses, &license, &command, &context).await? {
            CommandOutcome::Done(license) | CommandOutcome::Repeated(license) => {
                self.context.barrier.wait_for_earlier().await;
                Ok(license)
            }
            CommandOutcome::Denied(denial) => Err(ServiceError::Denied(denial)),
            CommandOutcome::NotActivated(denied) => Err(ServiceError::Denied(denied.reason().clone())),
        }
    }

    /// Returns a lease.
    pub async fn find(&self, id: &LeaseId) -> Result<Option<Lease>, ServiceError> {
        Ok(self.leases.find_lease(id).await?)
    }

    /// Lists the leases of a license, oldest first.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is no such license.
    pub async fn list(
        &self,
        license: &LicenseId,
        page: &PageRequest<LeaseId>,
    ) -> Result<Page<Lease, LeaseId>, ServiceError> {
        Ok(self.leases.list_leases(license, page).await?)
    }

    /// Returns the ids of all leases of a product that software may still accept, but must not, and the time of the
    /// list.
    pub async fn revoked(&self, product: &str) -> Result<(Vec<LeaseId>, DateTime<Utc>), ServiceError> {
        let now = self.context.now();
        Ok((self.leases.revoked_leases(product, now).await?, now))
    }

    /// Frees the slots of devices whose leases were handed back and are over, in at most `limit` licenses. Returns
    /// the number of changed licenses. Call repeatedly until it returns 0. Several nodes may call it at once. Take
    /// `now` from [`ClockService::plausible_now`].
    ///
    /// # Errors
    /// Returns the last [`ServiceError::Store`]. An error with one license does not stop the others.
    pub async fn release_returned(&self, now: DateTime<Utc>, limit: u32) -> Result<u32, ServiceError> {
        let context = self.context.command(now, None, Some(Arc::new(Actor::new(Principal::System))));
        let (mut released, mut failure) = (0, None);
        for id in self.leases.find_returned(now, limit).await? {
            match self.licenses.execute(&id, &Command::ReleaseReturned, &context).await {
                Ok(CommandOutcome::Done(_) | CommandOutcome::Repeated(_)) => released += 1,
                // Another node was first.
                Ok(CommandOutcome::Denied(_) | CommandOutcome::NotActivated(_)) => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(released), |error| Err(error.into()))
    }

    /// Removes leases that are over, at most `limit`. Returns the number removed.
    pub async fn prune(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, ServiceError> {
        Ok(self.leases.prune_leases(now, limit).await?)
    }
}

fn no_active_key() -> StoreError {
    StoreError::Contended { source: "the signing key is being replaced".into() }
}

//! Issues leases, takes them back and lists them.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use license_verify::{LicenseFile, ReleaseCode, RequestCode};

use super::clock::ClockService;
use super::context::ServiceContext;
use super::list_times::ListTimes;
use super::signing::SigningService;
use super::validation::{ValidateRequest, plan_unknown};
use crate::access::{Actor, Principal};
use crate::command::{Command, CommandContext, CommandOutcome, NewLease};
use crate::debug::partial_debug;
use crate::error::{LeaseError, ServiceError, ValidateError};
use crate::license::{ActivationKind, Lease, LeaseEnd, LeaseId, License, LicenseId, LicenseState};
use crate::limits;
use crate::signing::{TokenAlgorithm, TokenType};
use crate::store::{LeaseStore, LicenseStore, OutstandingLeases, Page, PageRequest, StoreError};
use crate::usage::{Client, Validation, ValidationOutcome};
use crate::validation::{Denial, DeniedLicense};

/// Attempts to issue a lease, if the signing key is replaced meanwhile.
const ATTEMPTS: u32 = 3;

/// A request for a lease, as received.
#[derive(Clone, Copy, Debug)]
pub struct LeaseRequest<'a> {
    /// The key, the device and the other parts of a validation.
    pub validation: ValidateRequest<'a>,
    /// The wanted time in days; `None` is as long as the plan allows.
    pub days: Option<u32>,
}

/// A lease that was issued, with its token.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedLease {
    /// The lease.
    pub lease: Lease,
    /// The license after it.
    pub license: Arc<License>,
    /// The signed token.
    pub token: String,
    /// The license file: the token, and the key tokens from which software learns its key.
    pub file: String,
    /// The rule that made the lease shorter than the request.
    pub limited_by: Option<LeaseLimit>,
}

/// A rule that makes a lease shorter than the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseLimit {
    /// The plan allows fewer days.
    Plan,
    /// The license ends earlier.
    License,
}

/// The answer to a request for a lease.
#[derive(Clone, Debug, PartialEq)]
pub enum LeaseAnswer {
    /// The lease.
    Lease(Box<SignedLease>),
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
    pub(super) signing: SigningService,
    pub(super) clock: ClockService,
    pub(super) context: Arc<ServiceContext>,
    pub(super) list_times: Arc<ListTimes>,
}

partial_debug!(LeaseService { leases, licenses, signing, context });

impl LeaseService {
    /// Validates a key, takes the slots that the lease needs, and issues the lease. It counts as a
    /// validation.
    ///
    /// # Errors
    /// Returns [`ValidateError`] as a validation does, and [`ValidateError::ClockImplausible`] while the
    /// clock of this node is implausible. Returns [`ServiceError::Signer`] if the signer fails: a repeated
    /// request renews the lease.
    pub async fn issue(&self, request: &LeaseRequest<'_>) -> Result<LeaseAnswer, LeaseError> {
        self.issue_to(request, None, None).await
    }

    /// Issues the lease that a request code asks for, on behalf of `actor`. Only the software that made the
    /// code accepts the lease. If the answer was lost, repeat the call.
    ///
    /// # Errors
    /// Returns [`LeaseError::RequestCode`] if the text is not a request code, and the errors of
    /// [`issue`](Self::issue).
    pub async fn issue_by_code(
        &self,
        code: &str,
        days: Option<u32>,
        actor: &Arc<Actor>,
    ) -> Result<LeaseAnswer, LeaseError> {
        let code = RequestCode::parse(code).map_err(LeaseError::RequestCode)?;
        let validation = ValidateRequest {
            key: &code.key,
            product: Some(&code.product),
            fingerprint: Some(&code.fingerprint),
            ..ValidateRequest::default()
        };
        let nonce = code.nonce.to_text();
        self.issue_to(&LeaseRequest { validation, days }, Some(nonce), Some(Arc::clone(actor))).await
    }

    async fn issue_to(
        &self,
        LeaseRequest { validation: request, days }: &LeaseRequest<'_>,
        nonce: Option<String>,
        by: Option<Arc<Actor>>,
    ) -> Result<LeaseAnswer, LeaseError> {
        let key = self.context.read_key(request.key).map_err(ValidateError::from)?;
        let claim = request.claim()?;
        let client = request.client.and_then(Client::new);
        let digest = self.context.vault.digest(&key);
        let _running = self.context.barrier.begin();
        let now = self.clock.plausible_now().ok_or(ValidateError::ClockImplausible)?;
        let Some(snapshot) = self.licenses.find_by_key(&digest, &claim).await? else {
            return Ok(LeaseAnswer::NotFound);
        };
        let id = &snapshot.license().id;
        let new = NewLease {
            claim: claim.clone(),
            days: *days,
            nonce,
            signer: self.signing.lease_signer()?,
            issuer: self.signing.issuer().to_owned(),
        };
        let context = self.context.command(now, None, by).of_key(digest);
        let (answer, outcome) = match self.execute(id, new, &context).await? {
            CommandOutcome::Done(license) | CommandOutcome::Repeated(license) => {
                let lease = self.leases.find_lease(&LeaseId::new(id, license.last_event)).await?;
                let missing = || StoreError::Contended { source: "the lease was pruned".into() };
                let lease = self.sign(lease.ok_or_else(missing)?, license, *days).await?;
                (LeaseAnswer::Lease(Box::new(lease)), ValidationOutcome::Valid)
            }
            CommandOutcome::NotActivated(denied) => {
                let outcome = ValidationOutcome::Denied(denied.code());
                (LeaseAnswer::Denied(denied), outcome)
            }
            // The snapshot was outdated: another node has replaced the license key.
            CommandOutcome::Denied(Denial::KeyReplaced) => return Ok(LeaseAnswer::NotFound),
            CommandOutcome::Denied(Denial::SigningKeyInactive) => return Err(key_is_replaced().into()),
            CommandOutcome::Denied(denial) => return Err(plan_unknown(id, denial).into()),
        };
        let validation = Validation::new(id.clone(), now, outcome, claim.of_slots());
        let location = request.location.cloned();
        self.licenses.record(&[Validation { location, client, ..validation }], None).await?;
        Ok(answer)
    }

    /// Executes the command. If another node replaced the signing key, repeats it with the active one.
    async fn execute(
        &self,
        id: &LicenseId,
        mut new: NewLease,
        context: &CommandContext,
    ) -> Result<CommandOutcome, LeaseError> {
        let mut attempt = 1;
        loop {
            let command = Command::Lease(new.clone());
            let outcome = self.context.execute(&*self.licenses, id, &command, context).await?;
            if attempt == ATTEMPTS || outcome != CommandOutcome::Denied(Denial::SigningKeyInactive) {
                return Ok(outcome);
            }
            attempt += 1;
            self.signing.reload().await?;
            new.signer = self.signing.lease_signer()?;
        }
    }

    async fn sign(
        &self,
        lease: Lease,
        license: Arc<License>,
        days: Option<u32>,
    ) -> Result<SignedLease, ServiceError> {
        let token = self.token(&lease, self.signing.algorithm()).await?;
        let key_tokens = self.signing.key_tokens(&license.product).await?;
        let file = LicenseFile { lease: token.clone(), key_tokens }.to_string();
        let plans = self.context.plans();
        let plan = plans.version(&license.plan, license.plan_version);
        let allowed = plan.and_then(|plan| plan.offline_days);
        let asked = days.or(allowed).unwrap_or_default();
        let granted = allowed.unwrap_or_default().min(asked);
        let wanted = (lease.issued_at + TimeDelta::days(granted.into())).timestamp();
        let limited_by = if lease.expires_at.timestamp() < wanted {
            Some(LeaseLimit::License)
        } else {
            (granted < asked).then_some(LeaseLimit::Plan)
        };
        Ok(SignedLease { lease, license, token, file, limited_by })
    }

    /// Signs the claims of a lease. Ed25519 is deterministic: the token is always the same.
    async fn token(&self, lease: &Lease, algorithm: TokenAlgorithm) -> Result<String, ServiceError> {
        let Lease { signing_key, claims, .. } = lease;
        self.signing.sign_claims(signing_key, algorithm, TokenType::Lease, claims.as_bytes()).await
    }

    /// Hands back the lease of a release code, and all others of its device. A repeated call succeeds too.
    ///
    /// # Errors
    /// Returns [`LeaseError::ReleaseCode`] if the text is not a release code, and [`Denial::LeaseNotFound`]
    /// as [`ServiceError::Denied`] if it is not of a lease that is still valid.
    pub async fn hand_back_by_code(&self, code: &str, actor: Actor) -> Result<HandedBack, LeaseError> {
        let code = ReleaseCode::parse(code).map_err(LeaseError::ReleaseCode)?;
        let not_found = || ServiceError::Denied(Denial::LeaseNotFound);
        let id = LeaseId::parse(&code.jti).map_err(|_| not_found())?;
        let lease = self.leases.find_lease(&id).await?.ok_or_else(not_found)?;
        // The name of the algorithm may have changed since.
        for algorithm in TokenAlgorithm::ALL {
            // A key that was revoked signs no more, so its codes cannot be checked.
            let token = self.token(&lease, algorithm).await.map_err(|error| match error {
                ServiceError::NotFound(_) => not_found(),
                error => error,
            })?;
            if code.is_from(&token) {
                return Ok(self.hand_back(&id, actor).await?);
            }
        }
        Err(not_found().into())
    }

    /// Hands a lease back, and all others of its device. A repeated call succeeds too.
    ///
    /// # Errors
    /// Returns [`Denial::LeaseNotFound`] as [`ServiceError::Denied`] if there is no such lease, or it has
    /// ended.
    pub async fn hand_back(&self, id: &LeaseId, actor: Actor) -> Result<HandedBack, ServiceError> {
        let not_found = || ServiceError::Denied(Denial::LeaseNotFound);
        let license_id = id.license_id().ok_or_else(not_found)?;
        let now = self.context.now();
        let context = self.context.command(now, None, Some(Arc::new(actor)));
        let command = Command::ReturnLease(id.clone());
        let license = match self.context.execute(&*self.licenses, &license_id, &command, &context).await? {
            CommandOutcome::Done(license) | CommandOutcome::Repeated(license) => license,
            CommandOutcome::Denied(Denial::LeaseNotFound) => {
                let lease = self.leases.find_lease(id).await?.ok_or_else(not_found)?;
                if !matches!(lease.ended, Some((LeaseEnd::Returned, _))) {
                    return Err(not_found());
                }
                let detail = self.licenses.get(&license_id).await?.ok_or_else(not_found)?;
                detail.license
            }
            CommandOutcome::Denied(denial) => return Err(ServiceError::Denied(denial)),
            CommandOutcome::NotActivated(denied) => {
                return Err(ServiceError::Denied(denied.reason().clone()));
            }
        };
        self.context.barrier.wait_for_earlier().await;
        let plans = self.context.plans();
        let plan = plans.version(&license.plan, license.plan_version);
        let is_free = plan.is_some_and(|plan| plan.trust_release);
        let lease = self.leases.find_lease(id).await?.filter(|_| !is_free);
        let Some(lease) = lease else { return Ok(HandedBack { license, free_at: None }) };
        // A later lease of the device holds the slot for longer.
        let of_device = OutstandingLeases::OfDevice(lease.device);
        let last = self.leases.outstanding_leases(&license_id, &of_device, now, 1).await?.pop();
        Ok(HandedBack { license, free_at: last.map(|last| last.accepted_until()) })
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

    /// Returns the leases that software still accepts although the vendor wants otherwise, the latest end
    /// first, at most [`limits::OUTSTANDING_LEASES`]: those that ended before their time, or all if the
    /// license is suspended or revoked, or has more devices than its limit.
    pub async fn outstanding(&self, license: &License) -> Result<Vec<Lease>, ServiceError> {
        let now = self.context.now();
        if !license.may_have_leases(now) {
            return Ok(Vec::new());
        }
        let is_good =
            license.state == LicenseState::Active && !license.slots(ActivationKind::Device).is_over();
        let which = if is_good { OutstandingLeases::Ended } else { OutstandingLeases::All };
        let limit = limits::OUTSTANDING_LEASES;
        Ok(self.leases.outstanding_leases(&license.id, &which, now, limit).await?)
    }

    /// Frees the slots of devices whose leases were handed back and are over, in at most `limit` licenses.
    /// Returns the number of changed licenses. Call repeatedly until it returns 0. Several nodes may call it
    /// at once. Take `now` from [`ClockService::plausible_now`].
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

/// A lease that was handed back.
#[derive(Clone, Debug, PartialEq)]
pub struct HandedBack {
    /// The license after it.
    pub license: Arc<License>,
    /// When the slot of the device is free at the earliest; `None` if it is free.
    pub free_at: Option<DateTime<Utc>>,
}

fn key_is_replaced() -> StoreError {
    StoreError::Contended { source: "the signing key is being replaced".into() }
}

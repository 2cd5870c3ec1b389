//! Issues and manages licenses.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::context::ServiceContext;
use crate::access::Actor;
use crate::catalog::PlanCatalog;
use crate::command::{Command, CommandOutcome, IdempotencyKey, LicensePatch, LicenseSpec, create};
use crate::error::{Resource, ServiceError};
use crate::json::LicenseJson;
use crate::key::LicenseKey;
use crate::license::{ActivationId, LicenseDetail, LicenseId};
use crate::limits;
use crate::store::{Created, LicenseFilter, LicenseQuery, LicenseStore, Page, PageRequest, StoreError};
use crate::validation::Denial;

/// Maximum number of attempts to create a license with a new id and key. A third collision means that the
/// generator is broken.
const CREATE_ATTEMPTS: usize = 3;
/// Idempotency keys deleted in one transaction.
const PRUNE_BATCH: u32 = 500;

/// A license with its key in clear, for its owner.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyedLicense {
    /// The key. Only [`LicenseKey::reveal`] shows it.
    pub key: LicenseKey,
    /// The license, its counters and its activations.
    pub detail: LicenseDetail,
    /// Whether an earlier request with the same idempotency key made the change.
    pub repeated: bool,
}

/// Issues and manages licenses. Clones share everything but the [actor](Self::by) and the
/// [idempotency key](Self::with_idempotency_key).
///
/// Every change returns [`ServiceError::Denied`] if a rule denies it, [`ServiceError::NotFound`] if there is
/// no such license, and is acknowledged only after validations that began before it have ended.
#[derive(Clone, Debug)]
pub struct LicenseService {
    store: Arc<dyn LicenseStore>,
    context: Arc<ServiceContext>,
    actor: Option<Arc<Actor>>,
    idempotency_key: Option<IdempotencyKey>,
}

impl LicenseService {
    /// Creates the service.
    pub fn new(store: Arc<dyn LicenseStore>, context: Arc<ServiceContext>) -> Self {
        Self { store, context, actor: None, idempotency_key: None }
    }

    /// Returns the service on behalf of `actor`: changes are written to the audit log, in the same commit.
    /// Without an actor they are not.
    #[must_use]
    pub fn by(&self, actor: &Arc<Actor>) -> Self {
        Self { actor: Some(Arc::clone(actor)), ..self.clone() }
    }

    /// Returns the service for one command with this idempotency key. A repeated renewal or key rotation of
    /// the same license, by the same actor and with the same key, changes nothing and returns the license as
    /// it is now. Other commands ignore the key, because a repeated one changes nothing. The key is kept for
    /// [`limits::IDEMPOTENCY_KEY_DAYS`].
    #[must_use]
    pub fn with_idempotency_key(&self, key: Option<IdempotencyKey>) -> Self {
        Self { idempotency_key: key, ..self.clone() }
    }

    /// Returns the plans.
    #[must_use]
    pub fn plans(&self) -> Arc<PlanCatalog> {
        self.context.plans()
    }

    /// Issues a license. The plan supplies what `spec` leaves open. With an idempotency key, a repeated
    /// request of the same actor returns the first license as it is now, also if both run at once. The key is
    /// kept for [`limits::IDEMPOTENCY_KEY_DAYS`].
    ///
    /// # Errors
    /// Returns [`ServiceError::Denied`] as [`create`] decides, and with [`Denial::KeyReused`] if the
    /// idempotency key was used for another request.
    pub async fn issue(
        &self,
        spec: &LicenseSpec,
        idempotency_key: Option<IdempotencyKey>,
    ) -> Result<KeyedLicense, ServiceError> {
        let now = self.context.now();
        let actor = self.actor.as_deref();
        let idempotency = idempotency_key
            .map(|key| self.context.idempotency(&key, "license.create", "", actor, &spec.content()));
        let (mut attempts, mut plans) = (1, self.context.plans());
        let (id, repeated) = loop {
            let id = self.context.sources.with_rng(|rng| LicenseId::generate(now, rng))?;
            let key = self.context.seal_key(None, &id)?;
            let created = match create(id.clone(), key, spec, idempotency, &plans, now) {
                Ok(new) => {
                    let new = match &self.actor {
                        Some(actor) => new.audited(actor),
                        None => new,
                    };
                    self.store.create(&new).await
                }
                Err(Denial::PlanUnknown { .. })
                    if let Some(newer) = self.context.catalog.newer_than(&plans).await? =>
                {
                    plans = newer;
                    continue;
                }
                // A repeated request returns its license even if it would be denied now, for example because
                // its plan is gone.
                Err(denial) => {
                    let asked = idempotency.as_ref().ok_or_else(|| ServiceError::Denied(denial.clone()))?;
                    let used = self.store.find_used_key(asked).await?;
                    Ok(Created::repeated(asked, &used.ok_or(ServiceError::Denied(denial))?))
                }
            };
            match created {
                Ok(Created::New) => break (id, false),
                Ok(Created::Existing(first)) => break (first, true),
                Ok(Created::KeyReused) => return Err(ServiceError::Denied(Denial::KeyReused)),
                Err(StoreError::AlreadyExists { .. }) if attempts < CREATE_ATTEMPTS => attempts += 1,
                Err(error) => return Err(error.into()),
            }
        };
        Ok(KeyedLicense { repeated, ..self.get(&id).await? })
    }

    /// Returns the license with this id.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is none.
    pub async fn get(&self, id: &LicenseId) -> Result<KeyedLicense, ServiceError> {
        let detail = self.store.get(id).await?.ok_or(ServiceError::NotFound(Resource::License))?;
        self.with_key(detail)
    }

    /// Lists licenses, newest first. The cursor is the last id of a page.
    pub async fn list(
        &self,
        filter: &LicenseFilter,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<KeyedLicense, LicenseId>, ServiceError> {
        let query = LicenseQuery { filter: filter.clone(), at: self.context.now(), page: page.clone() };
        let Page { items, next } = self.store.list(&query).await?;
        let items = items.into_iter().map(|detail| self.with_key(detail)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }

    /// Returns a license as the JSON of the HTTP API, with its status at this moment.
    #[must_use]
    pub fn json<'a>(&self, license: &'a KeyedLicense) -> LicenseJson<'a> {
        LicenseJson::new(&license.detail, Some(license.key.reveal()), self.context.now(), usize::MAX)
    }

    /// Executes a command and returns the license after it, if the license still has `expected_version`.
    ///
    /// # Errors
    /// Returns [`Denial::Stale`](crate::validation::Denial::Stale) as [`ServiceError::Denied`] if the license
    /// has another version.
    pub async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        expected_version: Option<u64>,
    ) -> Result<KeyedLicense, ServiceError> {
        let mut context = self.context.command(self.context.now(), expected_version, self.actor.clone());
        if let (Some(key), Some(operation)) = (&self.idempotency_key, command.repeatable_operation()) {
            let actor = self.actor.as_deref();
            context.idempotency = Some(self.context.idempotency(key, operation, id.as_str(), actor, ""));
        }
        let repeated = match self.context.execute(&*self.store, id, command, &context).await? {
            CommandOutcome::Done(_) => false,
            CommandOutcome::Repeated(_) => true,
            CommandOutcome::Denied(denial) => return Err(ServiceError::Denied(denial)),
        };
        // A validation that read the license before may still be about to answer "valid".
        self.context.barrier.wait_for_earlier().await;
        Ok(KeyedLicense { repeated, ..self.get(id).await? })
    }

    /// Changes fields.
    pub async fn change(&self, id: &LicenseId, change: LicensePatch) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Change(change), None).await
    }

    /// Suspends a license. A suspended one stays as it is.
    pub async fn suspend(&self, id: &LicenseId) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Suspend, None).await
    }

    /// Reinstates a suspended license. An active one stays as it is.
    pub async fn reinstate(&self, id: &LicenseId) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Reinstate, None).await
    }

    /// Adds the plan's term to the later of now and `expires_at`.
    pub async fn renew(&self, id: &LicenseId) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Renew, None).await
    }

    /// Revokes a license, permanently. After it returns, no validation on this node answers "valid". Other
    /// nodes follow when the change stream tells them, and after the TTL of their cache at the latest.
    pub async fn revoke(&self, id: &LicenseId) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Revoke, None).await
    }

    /// Gives a license a new key. The old key is unknown from then on.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), and [`ServiceError::Rng`] if the generator fails.
    pub async fn rotate_key(
        &self,
        id: &LicenseId,
        expected_version: Option<u64>,
    ) -> Result<KeyedLicense, ServiceError> {
        let (digest, sealed) = self.context.seal_key(None, id)?;
        self.execute(id, &Command::RotateKey { digest, sealed }, expected_version).await
    }

    /// Frees the slot that an activation holds.
    ///
    /// # Errors
    /// Returns [`Denial::ActivationNotFound`](crate::validation::Denial::ActivationNotFound) as
    /// [`ServiceError::Denied`] if there is no such activation.
    pub async fn release(
        &self,
        id: &LicenseId,
        activation: ActivationId,
    ) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Release(activation), None).await
    }

    /// Deletes idempotency keys older than [`limits::IDEMPOTENCY_KEY_DAYS`], a batch per call. Call
    /// repeatedly until it returns 0.
    pub async fn prune_idempotency_keys(&self, now: DateTime<Utc>) -> Result<u64, ServiceError> {
        let before = now - TimeDelta::days(limits::IDEMPOTENCY_KEY_DAYS.into());
        Ok(self.store.prune_used_keys(before, PRUNE_BATCH).await?)
    }

    fn with_key(&self, detail: LicenseDetail) -> Result<KeyedLicense, ServiceError> {
        let license = &detail.license;
        let key = self.context.vault.open(&license.sealed_key, license.id.as_str());
        let key = key.map_err(|_| ServiceError::SealedKey(license.id.clone()))?;
        Ok(KeyedLicense { key, detail, repeated: false })
    }
}

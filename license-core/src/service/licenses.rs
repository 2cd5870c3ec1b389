//! Issues and manages licenses.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::context::ServiceContext;
use crate::access::Actor;
use crate::catalog::PlanCatalog;
use crate::command::{Command, CommandOutcome, IdempotencyKey, LicensePatch};
use crate::error::{Resource, ServiceError};
use crate::json::LicenseJson;
use crate::key::LicenseKey;
use crate::license::{
    ActivationId, ActivationTarget, BlockId, Grant, GrantId, LicenseDetail, LicenseId, Reason,
};
use crate::limits;
use crate::store::{LicenseFilter, LicenseQuery, LicenseStore, Page, PageRequest};

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
    pub(super) store: Arc<dyn LicenseStore>,
    pub(super) context: Arc<ServiceContext>,
    pub(super) actor: Option<Arc<Actor>>,
    idempotency_key: Option<IdempotencyKey>,
    reason: Option<Reason>,
}

impl LicenseService {
    /// Creates the service.
    pub fn new(store: Arc<dyn LicenseStore>, context: Arc<ServiceContext>) -> Self {
        Self { store, context, actor: None, idempotency_key: None, reason: None }
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

    /// Returns the service for one command with this reason, such as `chargeback`. Events and the audit log have
    /// it, and a suspended or revoked license and a block keep it. It can name a person: erasing the customer
    /// removes it.
    #[must_use]
    pub fn with_reason(&self, reason: Option<Reason>) -> Self {
        Self { reason, ..self.clone() }
    }

    /// Returns the plans.
    #[must_use]
    pub fn plans(&self) -> Arc<PlanCatalog> {
        self.context.plans()
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
        context.reason.clone_from(&self.reason);
        if let (Some(key), Some(operation)) = (&self.idempotency_key, command.repeatable_operation()) {
            let actor = self.actor.as_deref();
            context.idempotency = Some(self.context.idempotency(key, operation, id.as_str(), actor, ""));
        }
        let repeated = match self.context.execute(&*self.store, id, command, &context).await? {
            CommandOutcome::Done(_) => false,
            CommandOutcome::Repeated(_) => true,
            CommandOutcome::Denied(denial) => return Err(ServiceError::Denied(denial)),
            CommandOutcome::NotActivated(denied) => {
                return Err(ServiceError::Denied(denied.reason().clone()));
            }
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

    /// Gives a license a new key. The old key is unknown from then on. With `release`, also frees the slots that a
    /// holder of the old key could take, and revokes all leases.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), and [`ServiceError::Rng`] if the generator fails.
    pub async fn rotate_key(
        &self,
        id: &LicenseId,
        release: bool,
        expected_version: Option<u64>,
    ) -> Result<KeyedLicense, ServiceError> {
        let (digest, sealed) = self.context.seal_key(None, id)?;
        self.execute(id, &Command::RotateKey { digest, sealed, release }, expected_version).await
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

    /// Grants a feature, in place of the grant with the same feature and source. Grants are added in order, and
    /// the last one in force wins.
    ///
    /// # Errors
    /// Returns [`Denial::GrantEnded`](crate::validation::Denial::GrantEnded) or
    /// [`Denial::GrantLimitReached`](crate::validation::Denial::GrantLimitReached) as [`ServiceError::Denied`].
    pub async fn grant(&self, id: &LicenseId, grant: Grant) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::AddGrant(grant), None).await
    }

    /// Removes a grant.
    ///
    /// # Errors
    /// Returns [`Denial::GrantNotFound`](crate::validation::Denial::GrantNotFound) as [`ServiceError::Denied`] if there is no such grant.
    pub async fn remove_grant(&self, id: &LicenseId, grant: GrantId) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::RemoveGrant(grant), None).await
    }

    /// Blocks a domain or a device, and frees its slot if it holds one. After it returns, this node denies each
    /// check of it, as [`revoke`](Self::revoke) does for the whole license.
    ///
    /// # Errors
    /// Returns [`Denial::ActivationNotFound`](crate::validation::Denial::ActivationNotFound) as
    /// [`ServiceError::Denied`] if `target` is an id that no activation has, and
    /// [`Denial::TooManyBlocks`](crate::validation::Denial::TooManyBlocks) if the license can have no more.
    pub async fn block(
        &self,
        id: &LicenseId,
        target: ActivationTarget,
    ) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Block(target), None).await
    }

    /// Removes a block.
    ///
    /// # Errors
    /// Returns [`Denial::BlockNotFound`](crate::validation::Denial::BlockNotFound) as
    /// [`ServiceError::Denied`] if there is no such block.
    pub async fn unblock(&self, id: &LicenseId, block: BlockId) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Unblock(block), None).await
    }

    /// Deletes idempotency keys older than [`limits::IDEMPOTENCY_KEY_DAYS`], a batch per call. Call
    /// repeatedly until it returns 0.
    pub async fn prune_idempotency_keys(&self, now: DateTime<Utc>) -> Result<u64, ServiceError> {
        let before = now - TimeDelta::days(limits::IDEMPOTENCY_KEY_DAYS.into());
        Ok(self.store.prune_used_keys(before, PRUNE_BATCH).await?)
    }

    pub(super) fn with_key(&self, detail: LicenseDetail) -> Result<KeyedLicense, ServiceError> {
        let license = &detail.license;
        let key = self.context.vault.open(&license.sealed_key, license.id.as_str());
        let key = key.map_err(|_| ServiceError::SealedKey(license.id.clone()))?;
        Ok(KeyedLicense { key, detail, repeated: false })
    }
}

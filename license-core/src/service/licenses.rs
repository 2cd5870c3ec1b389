//! Issues and manages licenses.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::context::ServiceContext;
use crate::access::Actor;
use crate::catalog::PlanCatalog;
use crate::command::{
    Command, CommandOutcome, Idempotency, IdempotencyKey, LicensePatch, LicenseSpec, NewLicense, create,
};
use crate::error::{Resource, ServiceError};
use crate::json::LicenseJson;
use crate::key::LicenseKey;
use crate::license::{ActivationId, ActivationTarget, BlockId, LicenseDetail, LicenseId, Reason};
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

/// The result of a create.
enum Issued {
    New(Vec<NewLicense>),
    /// An earlier request with the same idempotency key created the licenses, of which this is the first.
    Before(LicenseId),
}

/// Returns the ids of a batch, of which `first` is the first.
fn batch_ids(first: LicenseId, count: u32) -> impl Iterator<Item = LicenseId> {
    std::iter::successors(Some(first), |id| Some(id.next())).take(count as usize)
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
    pub fn plans(&self) -> &PlanCatalog {
        &self.context.plans
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
        let idempotency = self.idempotency(idempotency_key, "license.create", &spec.content());
        match self.create(spec, 1, idempotency).await? {
            Issued::New(new) => {
                let id = new.first().map(|one| &one.license.id).ok_or(ServiceError::BatchSize)?;
                self.get(id).await
            }
            Issued::Before(id) => Ok(KeyedLicense { repeated: true, ..self.get(&id).await? }),
        }
    }

    /// Issues `count` licenses with the same fields: all of them, in one commit, or none. An idempotency key is
    /// of the whole batch: a repeated request returns its licenses as they are now.
    ///
    /// # Errors
    /// Returns [`ServiceError::BatchSize`] if `count` is not 1 to [`limits::BATCH_LICENSES`] or the licenses have
    /// more than [`limits::BATCH_DOMAINS`] domains in all, and the errors of [`issue`](Self::issue).
    pub async fn issue_many(
        &self,
        spec: &LicenseSpec,
        count: u32,
        idempotency_key: Option<IdempotencyKey>,
    ) -> Result<Vec<KeyedLicense>, ServiceError> {
        let domains = spec.domains.len().saturating_mul(count as usize);
        if !(1..=limits::BATCH_LICENSES).contains(&count) || domains > limits::BATCH_DOMAINS {
            return Err(ServiceError::BatchSize);
        }
        let content = format!("{count} {}", spec.content());
        let idempotency = self.idempotency(idempotency_key, "license.create_batch", &content);
        match self.create(spec, count, idempotency).await? {
            Issued::New(all) => all.into_iter().map(|new| self.with_key(new.into_detail())).collect(),
            Issued::Before(first) => self.batch_from(&first, count).await,
        }
    }

    /// Returns the licenses of an earlier batch. Their ids follow each other.
    async fn batch_from(&self, first: &LicenseId, count: u32) -> Result<Vec<KeyedLicense>, ServiceError> {
        let ids: BTreeSet<_> = batch_ids(first.clone(), count).collect();
        let after = ids.last().map(LicenseId::next);
        let page = self.list(&LicenseFilter::default(), &PageRequest { after, limit: count }).await?;
        let licenses = page.items.into_iter().rev().filter(|one| ids.contains(&one.detail.license.id));
        Ok(licenses.map(|one| KeyedLicense { repeated: true, ..one }).collect())
    }

    fn idempotency(
        &self,
        key: Option<IdempotencyKey>,
        operation: &str,
        content: &str,
    ) -> Option<Idempotency> {
        let actor = self.actor.as_deref();
        key.map(|key| self.context.idempotency(&key, operation, "", actor, content))
    }

    async fn create(
        &self,
        spec: &LicenseSpec,
        count: u32,
        idempotency: Option<Idempotency>,
    ) -> Result<Issued, ServiceError> {
        let now = self.context.now();
        let mut attempts = 1;
        loop {
            let (created, new) = match self.decide_new(spec, count, idempotency, now)? {
                Ok(new) => (self.store.create_all(&new).await, new),
                // A repeated request returns its licenses even if it would be denied now, for example because
                // its plan is gone.
                Err(denial) => {
                    let asked = idempotency.as_ref().ok_or_else(|| ServiceError::Denied(denial.clone()))?;
                    let used = self.store.find_used_key(asked).await?;
                    (Ok(Created::repeated(asked, &used.ok_or(ServiceError::Denied(denial))?)), Vec::new())
                }
            };
            match created {
                Ok(Created::New) => return Ok(Issued::New(new)),
                Ok(Created::Existing(first)) => return Ok(Issued::Before(first)),
                Ok(Created::KeyReused) => return Err(ServiceError::Denied(Denial::KeyReused)),
                Err(StoreError::AlreadyExists { .. }) if attempts < CREATE_ATTEMPTS => attempts += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Decides the creation of `count` licenses with new ids and keys.
    fn decide_new(
        &self,
        spec: &LicenseSpec,
        count: u32,
        idempotency: Option<Idempotency>,
        now: DateTime<Utc>,
    ) -> Result<Result<Vec<NewLicense>, Denial>, ServiceError> {
        let first = self.context.sources.with_rng(|rng| LicenseId::generate(now, rng))?;
        let (mut all, mut idempotency) = (Vec::with_capacity(count as usize), idempotency);
        for id in batch_ids(first, count) {
            let key = self.context.seal_key(None, &id)?;
            let new = match create(id, key, spec, idempotency.take(), &self.context.plans, now) {
                Ok(new) => new,
                Err(denial) => return Ok(Err(denial)),
            };
            all.push(match &self.actor {
                Some(actor) => new.audited(actor),
                None => new,
            });
        }
        Ok(Ok(all))
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
        let repeated = match self.store.execute(id, command, &context).await? {
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

    fn with_key(&self, detail: LicenseDetail) -> Result<KeyedLicense, ServiceError> {
        let license = &detail.license;
        let key = self.context.vault.open(&license.sealed_key, license.id.as_str());
        let key = key.map_err(|_| ServiceError::SealedKey(license.id.clone()))?;
        Ok(KeyedLicense { key, detail, repeated: false })
    }
}

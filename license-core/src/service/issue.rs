//! Issues licenses, one or many in one commit.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::licenses::{KeyedLicense, LicenseService};
use crate::catalog::PlanCatalog;
use crate::command::{Idempotency, IdempotencyKey, LicenseSpec, NewLicense, create, refuse_shared_trials};
use crate::error::ServiceError;
use crate::license::LicenseId;
use crate::limits;
use crate::store::{Created, LicenseFilter, PageRequest, StoreError};
use crate::validation::Denial;

/// Maximum number of attempts to create a license with a new id and key. A third collision means that the
/// generator is broken.
const CREATE_ATTEMPTS: usize = 3;

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

impl LicenseService {
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
        let (mut attempts, mut plans) = (1, self.context.plans());
        loop {
            let (created, new) = match self.decide_new(spec, count, idempotency, &plans, now)? {
                Ok(new) => (self.store.create_all(&new).await, new),
                Err(Denial::PlanUnknown { .. })
                    if let Some(newer) = self.context.catalog.newer_than(&plans).await? =>
                {
                    plans = newer;
                    continue;
                }
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
                Ok(Created::ExternalIdTaken) => return Err(ServiceError::Denied(Denial::ExternalIdTaken)),
                Ok(Created::TrialUsed) => return Err(ServiceError::Denied(Denial::TrialUsed)),
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
        plans: &PlanCatalog,
        now: DateTime<Utc>,
    ) -> Result<Result<Vec<NewLicense>, Denial>, ServiceError> {
        let first = self.context.sources.with_rng(|rng| LicenseId::generate(now, rng))?;
        let (mut all, mut idempotency) = (Vec::with_capacity(count as usize), idempotency);
        for id in batch_ids(first, count) {
            let key = self.context.seal_key(None, &id)?;
            let trials = &self.context.trial_keys();
            let new = match create(id, key, spec, idempotency.take(), plans, trials, now) {
                Ok(new) => new,
                Err(denial) => return Ok(Err(denial)),
            };
            all.push(match &self.actor {
                Some(actor) => new.audited(actor),
                None => new,
            });
        }
        Ok(refuse_shared_trials(&all).map(|()| all))
    }
}

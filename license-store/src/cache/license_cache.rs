//! A cache of licenses in front of a store.

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::activation::{ActivationId, ActivationKind};
use license_core::change::{Change, ChangeFeed, FeedState, Notice};
use license_core::command::{Command, CommandContext, Idempotency, NewLicense, Outcome};
use license_core::domain::DomainName;
use license_core::event::Event;
use license_core::figure::Figure;
use license_core::key::KeyDigest;
use license_core::license::{LicenseDetail, LicenseId};
use license_core::seen::{ActivationDetail, IdleQuery};
use license_core::store::{Created, LicenseFilter, LicenseStore, Page, PageRequest, StoreError};
use license_core::usage::{
    BatchId, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport, UsageRetention,
    Validation,
};
use license_core::verdict::{Claim, Denial, Standing};
use tokio::task::AbortHandle;

use super::CacheOptions;
use super::read_through::{Counters, ReadThrough, Source, unavailable};

/// A claim that the license does not hold is loaded again after this time: a slot may have been freed, or taken for it.
const NOT_HELD_TTL: Duration = Duration::from_secs(1);

/// Answers `license_by_key` from memory, and forwards all other calls to the store.
///
/// A license with up to [`MAX_INLINE_BINDINGS`](license_core::limits::MAX_INLINE_BINDINGS) activations is one entry that
/// answers any claim. A larger one has an entry for each claim.
///
/// Commands are never cached or delayed. A command that has begun is completed even if its caller goes away, so that the
/// cache learns what it changed.
pub struct Cache<S: LicenseStore> {
    licenses: Arc<ReadThrough<Licenses<S>>>,
    listener: AbortHandle,
}

struct Licenses<S>(S);

impl<S: LicenseStore> Source for Licenses<S> {
    type Key = KeyDigest;
    type Query = Claim;
    /// `www.example.com` and `example.com` are equal, but only one of them is below `*.example.com`.
    type Part = (Claim, bool);
    type Value = Standing;

    async fn load(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        self.0.license_by_key(digest, claim, now).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.0.ping().await
    }

    fn is_listening(&self) -> bool {
        self.0.feed_state() == FeedState::Listening
    }

    fn part(claim: &Claim) -> (Claim, bool) {
        (claim.clone(), claim.domain.as_ref().is_some_and(DomainName::had_www))
    }

    fn version(standing: &Standing) -> u64 {
        standing.license().version
    }

    fn heap_size(standing: &Standing) -> usize {
        standing.heap_size()
    }

    fn is_complete(standing: &Standing) -> bool {
        standing.license().has_inline_bindings()
    }

    fn max_age(standing: &Standing, claim: &Claim) -> Duration {
        let held = standing.held(claim);
        let holds_all =
            (held.domain || claim.domain.is_none()) && (held.device || claim.fingerprint.is_none());
        if holds_all { Duration::MAX } else { NOT_HELD_TTL }
    }

    fn share(standing: Standing, other: &Standing) -> Standing {
        standing.sharing(other)
    }
}

impl<S: LicenseStore> fmt::Debug for Cache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReadThrough { source, options, .. } = &*self.licenses;
        f.debug_struct("Cache").field("store", &source.0).field("options", options).finish_non_exhaustive()
    }
}

impl<S: LicenseStore> Drop for Cache<S> {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Applies change notifications.
async fn listen<S: LicenseStore>(licenses: Arc<ReadThrough<Licenses<S>>>, mut feed: Box<dyn ChangeFeed>) {
    loop {
        match feed.next().await {
            Notice::Changed(Change { key_digest, version, .. }) => changed(&licenses, &key_digest, version),
            Notice::TokenChanged(_) | Notice::Outbox => {}
            Notice::Missed => licenses.entries.invalidate_all(),
        }
    }
}

/// Invalidates what is older than this version.
fn changed<S: LicenseStore>(licenses: &ReadThrough<Licenses<S>>, digest: &KeyDigest, version: u64) {
    licenses.invalidate(digest, |standing| standing.license().version < version);
}

async fn execute<S: LicenseStore>(
    licenses: &ReadThrough<Licenses<S>>,
    id: &LicenseId,
    command: &Command,
    context: &CommandContext,
) -> Result<Outcome, StoreError> {
    let result = match command {
        Command::RotateKey { .. } => rotate(licenses, id, command, context).await,
        _ => licenses.source.0.execute(id, command, context).await,
    };
    if let Ok(Outcome::Done(license)) = &result {
        changed(licenses, &license.key_digest, license.version);
    }
    result
}

/// Executes the command on the version whose key was read, since that key must be invalidated. Repeats it if the license
/// changes in between.
async fn rotate<S: LicenseStore>(
    licenses: &ReadThrough<Licenses<S>>,
    id: &LicenseId,
    command: &Command,
    context: &CommandContext,
) -> Result<Outcome, StoreError> {
    let store = &licenses.source.0;
    loop {
        let Some(LicenseDetail { license: before, .. }) = store.license(id).await? else {
            return Err(StoreError::NotFound { id: id.clone() });
        };
        let version = before.version;
        // By the time of the command the license may have the expected version, with a key that was not read.
        if context.expected_version.is_some_and(|expected| expected != version) {
            return Ok(Outcome::Denied(Denial::Stale { version }));
        }
        let pinned = CommandContext { expected_version: Some(version), ..context.clone() };
        let outcome = store.execute(id, command, &pinned).await?;
        match &outcome {
            Outcome::Denied(Denial::Stale { .. }) if context.expected_version.is_none() => continue,
            Outcome::Done(license) => changed(licenses, &before.key_digest, license.version),
            Outcome::Denied(_) => {}
        }
        return Ok(outcome);
    }
}

impl<S: LicenseStore> Cache<S> {
    /// An empty cache in front of `store`.
    ///
    /// # Panics
    /// Outside a tokio runtime, which runs the tasks that listen to the change stream and load licenses.
    pub fn new(store: S, options: CacheOptions) -> Self {
        let feed = store.changes();
        let licenses = Arc::new(ReadThrough::new(Licenses(store), options));
        let listener = tokio::spawn(listen(Arc::clone(&licenses), feed)).abort_handle();
        Self { licenses, listener }
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.licenses.entries.len()
    }

    /// Whether the cache has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn store(&self) -> &S {
        &self.licenses.source.0
    }

    /// Completes a change even if the caller goes away or the store panics. After an error that leaves open whether it was
    /// made, every entry is stale.
    async fn complete<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let licenses = Arc::clone(&self.licenses);
        let completed = self.licenses.runtime.spawn(async move {
            let result = tokio::spawn(change).await.unwrap_or_else(|panic| Err(unavailable(panic)));
            if matches!(result, Err(StoreError::Unavailable { .. })) {
                licenses.entries.invalidate_all();
            }
            result
        });
        completed.await.unwrap_or_else(|cut_short| Err(unavailable(cut_short)))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: LicenseStore> LicenseStore for Cache<S> {
    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        let (licenses, new) = (Arc::clone(&self.licenses), new.clone());
        let created = async move {
            let created = licenses.source.0.create(&new).await?;
            // Its key may be cached as absent.
            changed(&licenses, &new.license.key_digest, new.license.version);
            Ok(created)
        };
        self.complete(created).await
    }

    async fn created(&self, idempotency: &Idempotency) -> Result<Option<Created>, StoreError> {
        self.store().created(idempotency).await
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        let licenses = Arc::clone(&self.licenses);
        let (id, command, context) = (id.clone(), command.clone(), context.clone());
        let executed = async move { execute(&licenses, &id, &command, &context).await };
        self.complete(executed).await
    }

    /// On the path of every validation: the future of the store, without another one around it.
    fn record<'life0, 'life1, 'async_trait>(
        &'life0 self,
        validations: &'life1 [Validation],
        batch: Option<BatchId>,
    ) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        self.store().record(validations, batch)
    }

    async fn license(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        self.store().license(id).await
    }

    async fn license_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        self.licenses.get(digest, claim, now).await
    }

    fn recall(&self, digest: &KeyDigest, claim: &Claim, now: DateTime<Utc>) -> Option<Standing> {
        self.licenses.peek(digest, claim, now)
    }

    fn is_down(&self) -> bool {
        self.licenses.is_down() || self.store().is_down()
    }

    fn figures(&self) -> Vec<Figure> {
        let Counters { hits, misses, loads, outage_answers } = &self.licenses.counters;
        let entries = &self.licenses.entries;
        let mut figures = vec![
            Figure::counter("cache_hits", "Validations whose license was in the cache", hits),
            Figure::counter("cache_misses", "Validations whose license was not in the cache", misses),
            Figure::counter("cache_loads", "Licenses loaded into the cache", loads),
            Figure::counter(
                "cache_outage_answers",
                "Validations answered with a stale license because the store was down",
                outage_answers,
            ),
            Figure::gauge("cache_entries", "Entries in the cache", entries.len() as u64),
            Figure::gauge("cache_bytes", "Estimated size of the entries in the cache", entries.weight()),
        ];
        figures.extend(self.store().figures());
        figures
    }

    async fn licenses(
        &self,
        filter: &LicenseFilter,
        now: DateTime<Utc>,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
        self.store().licenses(filter, now, page).await
    }

    async fn activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, StoreError> {
        self.store().activations(id, kind, page).await
    }

    async fn idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError> {
        self.store().idle(query).await
    }

    async fn events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.store().events(id, after, limit).await
    }

    async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        self.store().usage(id, query).await
    }

    async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        self.store().usage_of_all(query).await
    }

    async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        self.store().rollups(filter, page).await
    }

    async fn forget_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.store().forget_usage(retention, now, limit).await
    }

    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError> {
        self.store().plans_in_use().await
    }

    async fn keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.store().keep_first(name, value).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store().ping().await
    }

    fn changes(&self) -> Box<dyn ChangeFeed> {
        self.store().changes()
    }

    fn feed_state(&self) -> FeedState {
        self.store().feed_state()
    }
}

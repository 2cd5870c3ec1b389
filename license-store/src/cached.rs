//! A store in front of a store, which remembers licenses.

mod loads;
mod remembered;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::activation::{ActivationId, ActivationKind};
use license_core::change::{Change, ChangeFeed, FeedState, Notice};
use license_core::command::{Command, CommandContext, Idempotency, NewLicense, Outcome};
use license_core::event::Event;
use license_core::figure::Figure;
use license_core::key::KeyDigest;
use license_core::license::{LicenseDetail, LicenseId};
use license_core::seen::{ActivationDetail, IdleQuery};
use license_core::store::{Created, LicenseFilter, LicenseStore, Page, PageRequest, Source, StoreError};
use license_core::usage::{
    BatchId, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport, UsageRetention,
    Validation,
};
use license_core::verdict::{Claim, Denial, Standing};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use loads::Loads;
use remembered::{Found, Remembered};

/// Between two questions whether a store that is down answers again.
const PROBE_PAUSE: Duration = Duration::from_millis(100);

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// So many licenses are remembered, and of those with many activations as many claims beside them. Beyond some thousands the cache is
    /// divided into parts, so that threads don't wait for each other; they have room for up to an eighth more in all, since not each has
    /// the same share.
    pub entries: usize,
    /// A license that was read longer ago is read again. The longest that a change of another node may stay unknown here,
    /// whatever happens to the notices, as long as the store answers.
    pub ttl: Duration,
    /// A read that the store has not answered after so long is given up, and the store is taken to be down. Commands wait for
    /// the store itself.
    pub deadline: Duration,
    /// A license that was read longer ago is not answered for while the store is down, either. Another node may still reach
    /// the store and revoke it there; this is the longest that this one may not know.
    pub outage: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            entries: 100_000,
            ttl: Duration::from_mins(5),
            deadline: Duration::from_secs(1),
            outage: Duration::from_hours(1),
        }
    }
}

/// Answers `license_by_key` from memory where it can; passes all else on. It never answers, delays or buffers a command.
///
/// - A change through this handle is known to it before it is acknowledged, also where the caller goes away meanwhile: a
///   command that has begun is carried through. What other nodes change comes by the store's change feed; while that is
///   lost, what was read more than five seconds ago is read again.
/// - A read that began before a change never puts the old license back.
/// - A claim that a license does not hold, by what was read more than a second ago, is looked up again: a slot may have
///   been freed.
/// - Calls that miss the same key wait for one read. Keys that no license has are remembered for a few seconds.
/// - While the store is down, what is remembered is answered all the same, for the time that
///   [`CacheOptions::outage`] says; [`LicenseStore::is_down`] tells.
///
/// Clocks are the caller's: ages are reckoned by the `now` of the calls.
pub struct Cached<S: LicenseStore> {
    shared: Arc<Shared<S>>,
    listener: AbortHandle,
}

/// What calls, loads and the listener share.
struct Shared<S> {
    inner: S,
    options: CacheOptions,
    remembered: Remembered,
    loads: Loads,
    down: AtomicBool,
    figures: Figures,
    /// The runtime that the cache was made on. What outlives a call runs there: the one that the call runs on may end before.
    runtime: Handle,
}

#[derive(Debug, Default)]
struct Figures {
    hits: AtomicU64,
    misses: AtomicU64,
    loads: AtomicU64,
    outage_answers: AtomicU64,
}

impl<S: LicenseStore> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { inner, options, .. } = &*self.shared;
        f.debug_struct("Cached").field("inner", inner).field("options", options).finish_non_exhaustive()
    }
}

impl<S: LicenseStore> Drop for Cached<S> {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl<S: LicenseStore> Cached<S> {
    /// A cache in front of `inner`, empty at first.
    ///
    /// # Panics
    /// Outside a tokio runtime: it listens to the store's change feed, and asks the store, in tasks of its own.
    pub fn new(inner: S, options: CacheOptions) -> Self {
        let feed = inner.changes();
        let remembered = Remembered::new(&options);
        let shared = Arc::new(Shared {
            inner,
            options,
            remembered,
            loads: Loads::default(),
            down: AtomicBool::default(),
            figures: Figures::default(),
            runtime: Handle::current(),
        });
        let listener = tokio::spawn(listen(Arc::clone(&shared), feed)).abort_handle();
        Self { shared, listener }
    }

    /// How many licenses are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.remembered.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Takes what others change to heart, as long as the cache lives.
async fn listen<S: LicenseStore>(shared: Arc<Shared<S>>, mut feed: Box<dyn ChangeFeed>) {
    loop {
        match feed.next().await {
            Notice::Changed(Change { key_digest, version, .. }) => shared.changed(&key_digest, version),
            Notice::TokenChanged(_) | Notice::Outbox => {}
            Notice::Missed => shared.remembered.doubt_all(),
        }
    }
}

impl<S: LicenseStore> Shared<S> {
    /// A license has that version now: what is older is forgotten, and reads that may have begun before it come to nothing.
    fn changed(&self, digest: &KeyDigest, version: u64) {
        self.loads.overtake(digest, || self.remembered.forget_before(digest, version));
    }

    fn find(&self, digest: &KeyDigest, claim: &Claim, now: DateTime<Utc>) -> Found {
        self.remembered.find(digest, claim, now, self.inner.feed_state() == FeedState::Listening)
    }

    /// What the store says now. One read for all who ask at the same time; it ends also where they go away, and after the
    /// deadline where the store does not answer.
    async fn load(
        self: &Arc<Self>,
        digest: &KeyDigest,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        loop {
            let large = self.remembered.is_large(digest).then(|| claim.clone());
            let (load, first) = self.loads.join(digest, large, self.remembered.doubts());
            if first {
                self.figures.loads.fetch_add(1, Ordering::Relaxed);
                let (shared, load) = (Arc::clone(self), Arc::clone(&load));
                let (digest, claim) = (*digest, claim.clone());
                self.runtime.spawn(async move {
                    let _ended = shared.loads.ended(&digest, &load);
                    let read = shared.inner.license_by_key(&digest, &claim, now);
                    let result = tokio::time::timeout(shared.options.deadline, read);
                    let result = result.await.unwrap_or_else(|elapsed| Err(unanswered(elapsed)));
                    let keep = |found: &Option<Standing>| {
                        shared.remembered.keep(&digest, &claim, found.as_ref(), now, load.doubts());
                    };
                    shared.loads.finish(&digest, &load, claim.clone(), result, keep);
                });
            }
            match load.result().await {
                // Read for the claim of another, of a license that has too many bindings to be read whole.
                Ok((Some(standing), of)) if !standing.license().is_read_whole() && !of.looks_up_as(claim) => {
                }
                Ok((found, _)) => return Ok(found),
                Err(error) => return Err(StoreError::shared(&error)),
            }
        }
    }

    fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// The store does not answer; asks it until it does, as long as the cache lives.
    fn note_down(self: &Arc<Self>) {
        if self.down.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::warn!("the store does not answer: validations are answered from memory");
        let shared = Arc::downgrade(self);
        self.runtime.spawn(async move {
            while let Some(shared) = shared.upgrade() {
                let answer = tokio::time::timeout(shared.options.deadline, shared.inner.ping()).await;
                if matches!(answer, Ok(Ok(()))) {
                    shared.down.store(false, Ordering::Relaxed);
                    tracing::info!("the store answers again");
                    return;
                }
                tokio::time::sleep(PROBE_PAUSE).await;
            }
        });
    }

    async fn license_by_key(
        self: &Arc<Self>,
        digest: &KeyDigest,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        let old = match self.find(digest, claim, now) {
            Found::Fresh(standing) => {
                self.figures.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(Some(standing));
            }
            Found::Unknown => return Ok(None),
            Found::Old(standing) => Some(standing),
            Found::Nothing => None,
        };
        self.figures.misses.fetch_add(1, Ordering::Relaxed);
        let from_memory = |standing| {
            self.figures.outage_answers.fetch_add(1, Ordering::Relaxed);
            Ok(Some(standing))
        };
        match old {
            Some(standing) if self.is_down() => return from_memory(standing),
            _ => {}
        }
        let error = match self.load(digest, claim, now).await {
            Err(error) if error.is_retryable() => error,
            result => return result,
        };
        self.note_down();
        old.map_or(Err(error), from_memory)
    }

    /// Carries out a command and takes what it changed to heart.
    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        let result = match command {
            Command::RotateKey { .. } => self.rotate(id, command, context).await,
            _ => self.inner.execute(id, command, context).await,
        };
        if let Ok(Outcome::Done(license)) = &result {
            self.changed(&license.key_digest, license.version);
        }
        result
    }

    /// As any command, but with the key that it had before, which is to be forgotten: so the version that has this key is
    /// asked for, and the whole done again where others come between.
    async fn rotate(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        loop {
            let Some(LicenseDetail { license: before, .. }) = self.inner.license(id).await? else {
                return Err(StoreError::NotFound { id: id.clone() });
            };
            let version = before.version;
            // It may have the version by the time of the command, with a key that nobody has looked up.
            if context.expected_version.is_some_and(|expected| expected != version) {
                return Ok(Outcome::Denied(Denial::Stale { version }));
            }
            let pinned = CommandContext { expected_version: Some(version), ..context.clone() };
            let outcome = self.inner.execute(id, command, &pinned).await?;
            match &outcome {
                Outcome::Denied(Denial::Stale { .. }) if context.expected_version.is_none() => continue,
                Outcome::Done(license) => self.changed(&before.key_digest, license.version),
                Outcome::Denied(_) => {}
            }
            return Ok(outcome);
        }
    }

    /// Carries out what changes something, also where the caller goes away or the store panics. After an error that leaves
    /// open whether anything was done, all may have changed.
    async fn carry_through<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(self);
        let carried = self.runtime.spawn(async move {
            let result = tokio::spawn(change).await.unwrap_or_else(|panic| Err(unanswered(panic)));
            if matches!(result, Err(StoreError::Unavailable { .. })) {
                shared.remembered.doubt_all();
            }
            result
        });
        carried.await.unwrap_or_else(|cut_short| Err(unanswered(cut_short)))
    }
}

/// Nobody knows what the store did, or would have said.
fn unanswered(error: impl Into<Source>) -> StoreError {
    StoreError::Unavailable { source: error.into() }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: LicenseStore> LicenseStore for Cached<S> {
    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        let (shared, new) = (Arc::clone(&self.shared), new.clone());
        let created = async move {
            let created = shared.inner.create(&new).await?;
            // Its key may have been asked for before.
            shared.changed(&new.license.key_digest, new.license.version);
            Ok(created)
        };
        self.shared.carry_through(created).await
    }

    async fn created(&self, idempotency: &Idempotency) -> Result<Option<Created>, StoreError> {
        self.shared.inner.created(idempotency).await
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        let shared = Arc::clone(&self.shared);
        let (id, command, context) = (id.clone(), command.clone(), context.clone());
        let executed = async move { shared.execute(&id, &command, &context).await };
        self.shared.carry_through(executed).await
    }

    /// On the way of every validation: no future of its own.
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
        self.shared.inner.record(validations, batch)
    }

    async fn license(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        self.shared.inner.license(id).await
    }

    async fn license_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        self.shared.license_by_key(digest, claim, now).await
    }

    fn recall(&self, digest: &KeyDigest, claim: &Claim, now: DateTime<Utc>) -> Option<Standing> {
        let Found::Fresh(standing) = self.shared.find(digest, claim, now) else { return None };
        self.shared.figures.hits.fetch_add(1, Ordering::Relaxed);
        Some(standing)
    }

    fn is_down(&self) -> bool {
        self.shared.is_down() || self.shared.inner.is_down()
    }

    fn figures(&self) -> Vec<Figure> {
        let Figures { hits, misses, loads, outage_answers } = &self.shared.figures;
        let mut figures = vec![
            Figure::counter("cache_hits", "Validations whose license was remembered", hits),
            Figure::counter("cache_misses", "Validations whose license had to be asked for", misses),
            Figure::counter("cache_loads", "Reads of the store for the cache", loads),
            Figure::counter(
                "cache_outage_answers",
                "Validations answered from memory because the store did not answer",
                outage_answers,
            ),
            Figure::gauge("cache_entries", "Licenses that are remembered", self.len() as u64),
        ];
        figures.extend(self.shared.inner.figures());
        figures
    }

    async fn licenses(
        &self,
        filter: &LicenseFilter,
        now: DateTime<Utc>,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
        self.shared.inner.licenses(filter, now, page).await
    }

    async fn activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, StoreError> {
        self.shared.inner.activations(id, kind, page).await
    }

    async fn idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError> {
        self.shared.inner.idle(query).await
    }

    async fn events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.shared.inner.events(id, after, limit).await
    }

    async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        self.shared.inner.usage(id, query).await
    }

    async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        self.shared.inner.usage_of_all(query).await
    }

    async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        self.shared.inner.rollups(filter, page).await
    }

    async fn forget_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.shared.inner.forget_usage(retention, now, limit).await
    }

    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError> {
        self.shared.inner.plans_in_use().await
    }

    async fn keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.shared.inner.keep_first(name, value).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.shared.inner.ping().await
    }

    fn changes(&self) -> Box<dyn ChangeFeed> {
        self.shared.inner.changes()
    }

    fn feed_state(&self) -> FeedState {
        self.shared.inner.feed_state()
    }
}

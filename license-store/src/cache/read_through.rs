//! A cache that loads from its source what it does not have.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use license_core::store::{self, StoreError};
use tokio::runtime::Handle;

use super::CacheOptions;
use super::entries::{Entries, Lookup};
use super::in_flight::{InFlight, Load};

/// Pause between two probes of a store that is down.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// Where a cache loads from, and what it needs to know of the values.
pub(super) trait Source: Send + Sync + Sized + 'static {
    /// Names a record. A change invalidates the whole record.
    type Key: Copy + Eq + Hash + Send + Sync + 'static;
    /// What is asked of the record.
    type Query: Clone + Send + Sync + 'static;
    /// The part of a large record that answers a query. Queries with equal parts share entries and loads.
    type Part: Clone + Eq + Hash + Send + Sync + 'static;
    /// Cheap to clone.
    type Value: Clone + Send + Sync + 'static;

    /// Loads the record, or the part of it that the query needs.
    fn load(
        &self,
        key: &Self::Key,
        query: &Self::Query,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<Option<Self::Value>, StoreError>> + Send;

    /// Whether the store answers.
    fn ping(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whether changes of other nodes arrive.
    fn is_listening(&self) -> bool;

    fn part(query: &Self::Query) -> Self::Part;

    /// Never decreases from one change of a record to the next.
    fn version(value: &Self::Value) -> u64;

    /// Estimated memory on the heap, in bytes.
    fn heap_size(value: &Self::Value) -> usize;

    /// Whether the value answers any query, and not only the one it was loaded for.
    fn is_complete(_: &Self::Value) -> bool {
        true
    }

    /// How long the value is trusted for this query, if less than the TTL.
    fn max_age(_: &Self::Value, _: &Self::Query) -> Duration {
        Duration::MAX
    }

    /// The same value, with memory shared with another one of the same record.
    fn share(value: Self::Value, _: &Self::Value) -> Self::Value {
        value
    }
}

/// Counted since the cache was made.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) loads: AtomicU64,
    pub(super) outage_answers: AtomicU64,
}

/// The cache.
pub(super) struct ReadThrough<S: Source> {
    pub(super) source: S,
    pub(super) options: CacheOptions,
    pub(super) entries: Entries<S>,
    pub(super) counters: Counters,
    in_flight: InFlight<S>,
    is_down: AtomicBool,
    /// Tasks that outlive a call run here: the runtime of the call may end before.
    pub(super) runtime: Handle,
}

impl<S: Source> ReadThrough<S> {
    /// An empty cache, on the current runtime.
    pub(super) fn new(source: S, options: CacheOptions) -> Self {
        Self {
            source,
            options,
            entries: Entries::new(&options),
            counters: Counters::default(),
            in_flight: InFlight::new(),
            is_down: AtomicBool::default(),
            runtime: Handle::current(),
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    /// Removes the entry of a changed record if its value is stale, and discards loads that may have begun before the change.
    pub(super) fn invalidate(&self, key: &S::Key, is_stale: impl FnOnce(&S::Value) -> bool) {
        self.in_flight.discard(key, || self.entries.remove_if(key, is_stale));
    }

    fn lookup(&self, key: &S::Key, query: &S::Query, now: DateTime<Utc>) -> Lookup<S::Value> {
        self.entries.lookup(key, query, now, self.source.is_listening())
    }

    /// Returns the value if it can be served without waiting.
    pub(super) fn peek(&self, key: &S::Key, query: &S::Query, now: DateTime<Utc>) -> Option<S::Value> {
        let Lookup::Hit(value) = self.lookup(key, query, now) else { return None };
        self.counters.hits.fetch_add(1, Ordering::Relaxed);
        Some(value)
    }

    /// Returns the value, from memory or loaded; while the store is down, a stale one.
    pub(super) async fn get(
        self: &Arc<Self>,
        key: &S::Key,
        query: &S::Query,
        now: DateTime<Utc>,
    ) -> Result<Option<S::Value>, StoreError> {
        let stale = match self.lookup(key, query, now) {
            Lookup::Hit(value) => {
                self.counters.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(Some(value));
            }
            Lookup::Absent => return Ok(None),
            Lookup::Stale(value) => Some(value),
            Lookup::Miss => None,
        };
        self.counters.misses.fetch_add(1, Ordering::Relaxed);
        let serve_stale = |value| {
            self.counters.outage_answers.fetch_add(1, Ordering::Relaxed);
            Ok(Some(value))
        };
        match stale {
            Some(value) if self.is_down() => return serve_stale(value),
            _ => {}
        }
        let error = match self.load(key, query, now).await {
            Err(error) if error.is_retryable() => error,
            result => return result,
        };
        self.set_down();
        stale.map_or(Err(error), serve_stale)
    }

    /// Joins the load in flight, or starts one.
    async fn load(
        self: &Arc<Self>,
        key: &S::Key,
        query: &S::Query,
        now: DateTime<Utc>,
    ) -> Result<Option<S::Value>, StoreError> {
        let part = S::part(query);
        let mut is_partial = self.entries.is_partial(key);
        loop {
            let wanted = is_partial.then(|| part.clone());
            let (load, is_new) = self.in_flight.join(key, wanted, self.entries.epoch());
            if is_new {
                self.start(Arc::clone(&load), *key, query.clone(), now);
            }
            match load.result().await {
                // Loaded for another caller, of a record that turned out to be large.
                Ok((Some(value), of)) if !S::is_complete(&value) && of != part => is_partial = true,
                Ok((found, _)) => return Ok(found),
                Err(error) => return Err(StoreError::shared(&error)),
            }
        }
    }

    /// Runs a load in a task of its own, so that it outlives the caller that started it.
    fn start(self: &Arc<Self>, load: Arc<Load<S>>, key: S::Key, query: S::Query, now: DateTime<Utc>) {
        self.counters.loads.fetch_add(1, Ordering::Relaxed);
        let cache = Arc::clone(self);
        self.runtime.spawn(async move {
            let _guard = cache.in_flight.guard(&key, &load);
            let loaded = tokio::time::timeout(cache.options.deadline, cache.source.load(&key, &query, now));
            let found = loaded.await.unwrap_or_else(|elapsed| Err(unavailable(elapsed)));
            let result = found.map(|found| (found, S::part(&query)));
            cache.in_flight.finish(&key, &load, result, |found, part| {
                cache.entries.insert(&key, part.clone(), found, now, load.epoch());
            });
        });
    }

    /// Marks the store as down, and probes it until it answers, as long as the cache lives.
    fn set_down(self: &Arc<Self>) {
        if self.is_down.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::warn!("the store does not answer: stale entries are served from memory");
        let cache = Arc::downgrade(self);
        self.runtime.spawn(async move {
            while let Some(cache) = cache.upgrade() {
                let answer = tokio::time::timeout(cache.options.deadline, cache.source.ping()).await;
                if matches!(answer, Ok(Ok(()))) {
                    cache.is_down.store(false, Ordering::Relaxed);
                    tracing::info!("the store answers again");
                    return;
                }
                tokio::time::sleep(PROBE_INTERVAL).await;
            }
        });
    }
}

/// The store gave no answer: whether it did anything is unknown.
pub(super) fn unavailable(error: impl Into<store::Source>) -> StoreError {
    StoreError::Unavailable { source: error.into() }
}

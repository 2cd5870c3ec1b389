//! A cache that loads missing entries from its source.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use license_core::store::{self, StoreError};
use tokio::runtime::Handle;

use super::entries::{CacheEntries, Lookup, Replacement};
use super::in_flight::{InFlight, Load};
use super::options::CacheOptions;
use super::source::CacheSource;

/// Pause between two probes of a store that is down.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// Counters since the start of the cache.
#[derive(Debug, Default)]
pub(super) struct CacheCounters {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) loads: AtomicU64,
    pub(super) outage_answers: AtomicU64,
}

pub(super) struct ReadThrough<S: CacheSource> {
    pub(super) source: S,
    pub(super) options: CacheOptions,
    pub(super) entries: CacheEntries<S>,
    pub(super) counters: CacheCounters,
    in_flight: InFlight<S>,
    is_down: AtomicBool,
    /// Runs tasks that outlive a call, even if the caller's runtime ends first.
    pub(super) runtime: Handle,
}

impl<S: CacheSource> ReadThrough<S> {
    /// Creates an empty cache. Its tasks run on the current runtime.
    pub(super) fn new(source: S, options: CacheOptions) -> Self {
        Self {
            source,
            options,
            entries: CacheEntries::new(&options),
            counters: CacheCounters::default(),
            in_flight: InFlight::new(),
            is_down: AtomicBool::default(),
            runtime: Handle::current(),
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    /// Replaces the entry of a changed record, and discards loads that may have begun before the change.
    pub(super) fn replace(&self, key: &S::Key, replacement: impl FnOnce(&S::Value) -> Replacement<S::Value>) {
        self.in_flight.discard(key, || self.entries.replace(key, replacement));
    }

    fn lookup(&self, key: &S::Key, query: &S::Query, now: DateTime<Utc>) -> Lookup<S::Value> {
        self.entries.lookup(key, query, now, self.source.is_listening())
    }

    /// Returns the value from memory, or loads it. While the store is down, a stale value is returned.
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
                // The load was for another query, and returned only its part of a large record.
                Ok((Some(value), of)) if !S::is_complete(&value) && of != part => is_partial = true,
                Ok((found, _)) => return Ok(found),
                Err(error) => return Err(StoreError::shared(&error)),
            }
        }
    }

    /// Runs a load in a task, so that it outlives the caller that started it.
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

    /// Marks the store as down. Probes it until it answers or the cache is dropped.
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

/// Returns the error of a call without an answer, whose effect is unknown.
pub(super) fn unavailable(error: impl Into<store::BoxError>) -> StoreError {
    StoreError::Unavailable { source: error.into() }
}

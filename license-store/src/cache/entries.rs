//! The entries of a cache, and how long each is trusted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use quick_cache::sync::DefaultLifecycle;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::options::CacheOptions;
use super::source::CacheSource;

/// Maximum number of negative entries. They are small, and software repeats only a few unknown keys.
const ABSENT_ENTRIES: usize = 10_000;
const ABSENT_TTL: Duration = Duration::from_secs(5);
/// While the change stream is lost, entries older than this are stale.
const STREAM_LOST_TTL: Duration = Duration::from_secs(5);
/// Memory of an entry besides its value, in bytes: slot and hash table with their spare capacity.
const OVERHEAD: usize = 256;
/// Minimum size of a shard, in bytes: more than twice the largest license.
const SHARD_SIZE: usize = 2 << 20;
const MAX_SHARDS: usize = 64;

/// Result of a lookup.
#[derive(Debug)]
pub(super) enum Lookup<V> {
    /// Can be served.
    Hit(V),
    /// Known not to exist.
    Absent,
    /// Must be loaded again. Can be served while the store is down.
    Stale(V),
    /// Not cached.
    Miss,
}

/// Treatment of an entry whose record changes.
pub(super) enum Replacement<V> {
    /// The entry has the change.
    Keep,
    /// The entry is stale.
    Remove,
    /// The entry as it is after the change.
    With(V),
}

#[derive(Clone)]
struct CacheEntry<V> {
    value: V,
    loaded: Loaded,
    weight: u32,
}

/// When a load began.
#[derive(Clone, Copy)]
struct Loaded {
    /// In microseconds.
    at: i64,
    epoch: u64,
}

impl Loaded {
    /// Returns the age; `None` if the clock was set back, so that it is unknown.
    fn age(self, now: DateTime<Utc>) -> Option<Duration> {
        u64::try_from(now.timestamp_micros().checked_sub(self.at)?).ok().map(Duration::from_micros)
    }

    fn is_within(self, now: DateTime<Utc>, ttl: Duration) -> bool {
        self.age(now).is_some_and(|age| age < ttl)
    }
}

/// A whole record, or a part of one that is too large to be loaded whole.
#[derive(Clone, PartialEq, Eq, Hash)]
struct EntryKey<K, P> {
    key: K,
    part: Option<Box<P>>,
}

impl<K, P> EntryKey<K, P> {
    fn whole(key: K) -> Self {
        Self { key, part: None }
    }

    fn part(key: K, part: P) -> Self {
        Self { key, part: Some(Box::new(part)) }
    }
}

/// Returns the weight that was computed when the entry was stored, since it must not change.
#[derive(Clone)]
struct StoredWeight;

impl<K, V> Weighter<K, CacheEntry<V>> for StoredWeight {
    fn weight(&self, _: &K, entry: &CacheEntry<V>) -> u64 {
        entry.weight.into()
    }
}

fn weight<S: CacheSource>(value: &S::Value) -> u32 {
    u32::try_from(OVERHEAD + S::heap_size(value)).unwrap_or(u32::MAX)
}

type Values<K, P, V> = quick_cache::sync::Cache<EntryKey<K, P>, CacheEntry<V>, StoredWeight>;

/// Cached records. A large record has one entry for the whole, with the part that was loaded last, and one
/// entry per part. All parts are valid only at the version of the whole.
pub(super) struct CacheEntries<S: CacheSource> {
    values: Values<S::Key, S::Part, S::Value>,
    /// Separate from the values, which unknown keys must not evict.
    absent: quick_cache::sync::Cache<S::Key, Loaded>,
    epoch: AtomicU64,
    ttl: Duration,
    outage: Duration,
}

fn values<S: CacheSource>(size: usize) -> Values<S::Key, S::Part, S::Value> {
    let options = OptionsBuilder::new()
        .weight_capacity(size as u64)
        .estimated_items_capacity(size / 1_024)
        .shards((size / SHARD_SIZE).clamp(1, MAX_SHARDS))
        .build()
        .expect("all required options are set");
    let hasher = DefaultHashBuilder::default();
    quick_cache::sync::Cache::with_options(options, StoredWeight, hasher, DefaultLifecycle::default())
}

impl<S: CacheSource> CacheEntries<S> {
    pub(super) fn new(options: &CacheOptions) -> Self {
        let CacheOptions { size, ttl, outage, deadline: _ } = *options;
        Self {
            values: values::<S>(size),
            absent: quick_cache::sync::Cache::new(ABSENT_ENTRIES),
            epoch: AtomicU64::default(),
            ttl,
            outage,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns the estimated size of all entries, in bytes.
    pub(super) fn weight(&self) -> u64 {
        self.values.weight()
    }

    /// Makes all entries stale. They are not removed, because they are served while the store is down.
    pub(super) fn invalidate_all(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns the number of calls of [`invalidate_all`](Self::invalidate_all). Read it before a load begins.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Returns whether the record is known to be too large to be loaded whole.
    pub(super) fn is_partial(&self, key: &S::Key) -> bool {
        self.values.peek(&EntryKey::whole(*key)).is_some_and(|entry| !S::is_complete(&entry.value))
    }

    pub(super) fn lookup(
        &self,
        key: &S::Key,
        query: &S::Query,
        now: DateTime<Utc>,
        is_listening: bool,
    ) -> Lookup<S::Value> {
        let Some(mut entry) = self.values.get(&EntryKey::whole(*key)) else {
            let is_absent = |loaded: Loaded| {
                loaded.epoch == self.epoch()
                    && loaded.is_within(now, self.ttl.min(ABSENT_TTL))
                    && is_listening
            };
            return if self.absent.get(key).is_some_and(is_absent) { Lookup::Absent } else { Lookup::Miss };
        };
        if !S::is_complete(&entry.value) {
            let version = S::version(&entry.value);
            match self.values.get(&EntryKey::part(*key, S::part(query))) {
                Some(part) if S::version(&part.value) == version => entry = part,
                _ => return Lookup::Miss,
            }
        }
        let CacheEntry { value, loaded, .. } = entry;
        let mut ttl = self.ttl.min(S::max_age(&value, query));
        if !is_listening {
            ttl = ttl.min(STREAM_LOST_TTL);
        }
        if loaded.epoch == self.epoch() && loaded.is_within(now, ttl) {
            Lookup::Hit(value)
        } else if loaded.is_within(now, self.outage) {
            Lookup::Stale(value)
        } else {
            Lookup::Miss
        }
    }

    /// Stores the result of a load that began at `now`, unless a newer version is cached.
    pub(super) fn insert(
        &self,
        key: &S::Key,
        part: S::Part,
        found: Option<&S::Value>,
        now: DateTime<Utc>,
        epoch: u64,
    ) {
        let loaded = Loaded { at: now.timestamp_micros(), epoch };
        let whole = EntryKey::whole(*key);
        let Some(value) = found.cloned() else {
            self.values.remove(&whole);
            self.absent.insert(*key, loaded);
            return;
        };
        let known = self.values.peek(&whole);
        if known.as_ref().is_some_and(|known| S::version(&known.value) > S::version(&value)) {
            return;
        }
        let value = match known {
            Some(known) => S::share(value, &known.value),
            None => value,
        };
        let weight = weight::<S>(&value);
        let entry = CacheEntry { value, loaded, weight };
        if !S::is_complete(&entry.value) {
            self.values.insert(EntryKey::part(*key, part), entry.clone());
        }
        self.absent.remove(key);
        self.values.insert(whole, entry);
    }

    /// Replaces the value of a record, or removes it with all its parts. The entry keeps its age.
    pub(super) fn replace(&self, key: &S::Key, replacement: impl FnOnce(&S::Value) -> Replacement<S::Value>) {
        self.absent.remove(key);
        let whole = EntryKey::whole(*key);
        let Some(entry) = self.values.peek(&whole) else { return };
        match replacement(&entry.value) {
            Replacement::Keep => {}
            Replacement::Remove => drop(self.values.remove(&whole)),
            Replacement::With(value) => {
                let weight = weight::<S>(&value);
                self.values.insert(whole, CacheEntry { value, weight, ..entry });
            }
        }
    }
}

//! What is remembered, and how far it can be trusted.

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};
use license_core::key::KeyDigest;
use license_core::verdict::{Claim, Standing};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, OptionsBuilder, UnitWeighter};

use super::CacheOptions;
use crate::already_hashed::AlreadyHashed;

/// Keys that no license has are remembered for so long, and so many of them at most: enough to spare the store a flood of
/// one key, too few to be worth filling.
const UNKNOWN_TTL: Duration = Duration::from_secs(5);
const UNKNOWN_ENTRIES: usize = 10_000;
/// While changes of other nodes go unheard, what was read longer ago is read again.
const UNHEARD_TTL: Duration = Duration::from_secs(5);
/// What a license does not hold is believed for so long.
const NOT_HELD_TTL: Duration = Duration::from_secs(1);

/// What is remembered of a key.
#[derive(Debug)]
pub(super) enum Found {
    /// It can be answered for.
    Fresh(Standing),
    /// No license has it.
    Unknown,
    /// It was like this; to be read again where the store answers.
    Old(Standing),
    /// Nothing.
    Nothing,
}

/// A license as it was read.
#[derive(Clone, Debug)]
struct Entry {
    standing: Standing,
    read: Reading,
}

/// When something was read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// When the read began, in microseconds.
    at: i64,
    /// How often all was doubted before it began.
    doubts: u64,
}

impl Reading {
    /// How long ago; `None` where the clock was set back since, so that nobody knows.
    fn age(&self, now: DateTime<Utc>) -> Option<Duration> {
        u64::try_from(now.timestamp_micros().checked_sub(self.at)?).ok().map(Duration::from_micros)
    }

    fn is_within(&self, now: DateTime<Utc>, ttl: Duration) -> bool {
        self.age(now).is_some_and(|age| age < ttl)
    }
}

/// A claim of a license that has too many bindings to be read whole.
#[derive(Clone, Debug)]
struct ClaimKey(KeyDigest, Claim);

impl PartialEq for ClaimKey {
    fn eq(&self, other: &Self) -> bool {
        ClaimRef(&self.0, &self.1).equivalent(other)
    }
}

impl Eq for ClaimKey {}

impl Hash for ClaimKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        ClaimRef(&self.0, &self.1).hash(state);
    }
}

/// The same, borrowed.
struct ClaimRef<'a>(&'a KeyDigest, &'a Claim);

impl Hash for ClaimRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.hash(state);
    }
}

impl Equivalent<ClaimKey> for ClaimRef<'_> {
    fn equivalent(&self, key: &ClaimKey) -> bool {
        *self.0 == key.0 && self.1.looks_up_as(&key.1)
    }
}

type ByDigest<T> = Cache<KeyDigest, T, UnitWeighter, BuildHasherDefault<AlreadyHashed>>;

/// Licenses by their keys. Those that are not read whole stand here for their version only; `claims` has what each claim
/// found of that version.
pub(super) struct Remembered {
    licenses: ByDigest<Entry>,
    claims: Cache<ClaimKey, Entry>,
    unknown: ByDigest<Reading>,
    doubts: AtomicU64,
    ttl: Duration,
    outage: Duration,
}

/// A part of a cache is for so many at least: of few, chance gives one part much more than another.
const LEAST_OF_A_PART: usize = 1_024;
/// Parts that a processor has use for.
const PARTS: usize = 4;

/// A cache with room for so many entries, and little more. It is divided into parts, and chance gives one of them more than its share:
/// of ten thousand caches, four standard deviations are too few in some.
fn room_for<K: Eq + Hash, V: Clone, B: BuildHasher + Clone + Default>(
    entries: usize,
) -> Cache<K, V, UnitWeighter, B> {
    let most = thread::available_parallelism().map_or(1, NonZero::get) * PARTS;
    let parts = 1 << most.min(entries / LEAST_OF_A_PART).max(1).ilog2();
    let share = entries.div_ceil(parts);
    let more = if parts == 1 { 0 } else { 4 * share.isqrt() };
    let room = share.saturating_add(more).saturating_mul(parts);
    let options = OptionsBuilder::new()
        .shards(parts)
        .estimated_items_capacity(room)
        .weight_capacity(room as u64)
        .build()
        .expect("all is said that has to be");
    Cache::with_options(options, UnitWeighter, B::default(), DefaultLifecycle::default())
}

/// A cache of so many entries at most. It is divided into parts, as many as the machine has use for, and rounds up for each.
fn at_most<K: Eq + Hash, V: Clone, B: BuildHasher + Clone + Default>(
    entries: usize,
) -> Cache<K, V, UnitWeighter, B> {
    let cache = |weight: usize| {
        Cache::with(entries, weight as u64, UnitWeighter, B::default(), DefaultLifecycle::default())
    };
    let rounded = cache(entries);
    match entries % rounded.num_shards() {
        0 => rounded,
        over => cache(entries - over),
    }
}

impl Remembered {
    pub(super) fn new(options: &CacheOptions) -> Self {
        let CacheOptions { entries, ttl, outage, deadline: _ } = *options;
        Self {
            licenses: room_for(entries),
            claims: room_for(entries),
            unknown: at_most(UNKNOWN_ENTRIES),
            doubts: AtomicU64::default(),
            ttl,
            outage,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.licenses.len()
    }

    /// Whatever was read until now may be old.
    pub(super) fn doubt_all(&self) {
        self.doubts.fetch_add(1, Ordering::SeqCst);
    }

    /// How often all was doubted. Taken before a read begins.
    pub(super) fn doubts(&self) -> u64 {
        self.doubts.load(Ordering::SeqCst)
    }

    /// Whether the license is known to have too many bindings to be read whole.
    pub(super) fn is_large(&self, digest: &KeyDigest) -> bool {
        self.licenses.peek(digest).is_some_and(|entry| !entry.standing.license().is_read_whole())
    }

    pub(super) fn find(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        now: DateTime<Utc>,
        changes_are_heard: bool,
    ) -> Found {
        let Some(license) = self.licenses.get(digest) else {
            let heard = |read: &Reading| {
                read.doubts == self.doubts() && read.is_within(now, UNKNOWN_TTL) && changes_are_heard
            };
            return if self.unknown.get(digest).as_ref().is_some_and(heard) {
                Found::Unknown
            } else {
                Found::Nothing
            };
        };
        let entry = if license.standing.license().is_read_whole() {
            license
        } else {
            let of_claim = self.claims.get(&ClaimRef(digest, claim));
            let version = license.standing.license().version;
            match of_claim {
                Some(entry) if entry.standing.license().version == version => entry,
                _ => return Found::Nothing,
            }
        };
        let Entry { standing, read } = entry;
        let held = standing.held(claim);
        let holds_all =
            (held.domain || claim.domain.is_none()) && (held.device || claim.fingerprint.is_none());
        let fresh = read.doubts == self.doubts()
            && read.is_within(now, self.ttl)
            && (changes_are_heard || read.is_within(now, UNHEARD_TTL))
            && (holds_all || read.is_within(now, NOT_HELD_TTL));
        if fresh {
            Found::Fresh(standing)
        } else if read.is_within(now, self.outage) {
            Found::Old(standing)
        } else {
            Found::Nothing
        }
    }

    /// Remembers what was read, unless something newer is known.
    pub(super) fn keep(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        found: Option<&Standing>,
        now: DateTime<Utc>,
        doubts: u64,
    ) {
        let read = Reading { at: now.timestamp_micros(), doubts };
        let Some(standing) = found else {
            self.licenses.remove(digest);
            self.unknown.insert(*digest, read);
            return;
        };
        let known = self.licenses.peek(digest);
        if known.as_ref().is_some_and(|known| known.standing.license().version > standing.license().version) {
            return;
        }
        let mut entry = Entry { standing: standing.clone(), read };
        if !standing.license().is_read_whole() {
            // One license for all its claims.
            if let Some(known) = known {
                entry.standing = entry.standing.sharing(&known.standing);
            }
            self.claims.insert(ClaimKey(*digest, claim.clone()), entry.clone());
        }
        self.unknown.remove(digest);
        self.licenses.insert(*digest, entry);
    }

    /// Forgets what is older than that version.
    pub(super) fn forget_before(&self, digest: &KeyDigest, version: u64) {
        self.unknown.remove(digest);
        self.licenses.remove_if(digest, |entry| entry.standing.license().version < version);
    }
}

//! How much is remembered, and what is counted.

use std::hash::{DefaultHasher, Hash, Hasher};

use license_core::usage::ValidationOutcome;

use super::*;

/// Not divisible by the parts into which a cache is divided, which round up.
const ENTRIES: usize = 257;

fn small() -> Node {
    Node::with(CacheOptions { entries: ENTRIES, ..CacheOptions::default() })
}

/// Memory does not grow with the number of licenses.
#[tokio::test]
async fn no_more_licenses_are_remembered_than_asked_for() {
    let node = small();
    for _ in 0..ENTRIES * 10 {
        let license = node.issued_elsewhere(&[]).await;
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
        assert!(node.cache.len() <= ENTRIES, "{} licenses", node.cache.len());
    }
    assert!(node.cache.len() > ENTRIES / 2, "{} licenses", node.cache.len());
}

/// As many as were asked for are there, however they fall into the parts of the cache; and it is bounded.
#[tokio::test]
async fn as_many_are_remembered_as_asked_for() {
    const MANY: usize = 20_000;
    let node = Node::with(CacheOptions { entries: MANY, ..CacheOptions::default() });
    for number in 0..MANY * 2 {
        // As real ones are: by chance. Those that are only counted fall into all parts alike.
        let mut hasher = DefaultHasher::new();
        number.hash(&mut hasher);
        let digest = KeyDigest::from_bytes([hasher.finish().to_ne_bytes(); 4].concat().try_into().unwrap());
        node.store.inner.create(&new_license(digest, &[])).await.unwrap();
        assert_eq!(node.version_of_key(&digest, Duration::ZERO).await, Some(1));
        if number < MANY {
            assert_eq!(node.cache.len(), number + 1);
        }
    }
    assert!((MANY..=MANY + MANY / 8).contains(&node.cache.len()), "{} licenses", node.cache.len());
}

/// Nor with the claims that somebody invents for a large license.
#[tokio::test]
async fn no_more_claims_are_remembered_than_licenses() {
    let node = small();
    let license = claims::large(&node, &[]).await;
    let claims: Vec<_> = (0..ENTRIES * 10).map(|number| at_device(&format!("d{number}"))).collect();
    for claim in &claims {
        assert!(node.ask(&license, claim, Duration::ZERO).await.is_some());
    }
    let remembered = |claim: &&Claim| node.cache.recall(&license.key_digest, claim, start()).is_some();
    let count = claims.iter().filter(remembered).count();
    assert!((1..=ENTRIES).contains(&count), "{count} claims");
}

/// Nor with the keys that somebody invents, which leave the licenses where they are.
#[tokio::test]
async fn at_most_ten_thousand_unknown_keys_are_remembered() {
    const BOUND: usize = 10_000;
    let node = small();
    let license = node.issued_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    let digests: Vec<_> = (0..BOUND + 2_000).map(|_| fresh_digest()).collect();
    for _ in 0..2 {
        for digest in &digests {
            assert_eq!(node.version_of_key(digest, Duration::ZERO).await, None);
        }
    }
    let again = digests.iter().map(|digest| node.store.reads(digest)).sum::<usize>() - digests.len();
    assert!(again >= digests.len() - BOUND, "{} of {} keys remembered", digests.len() - again, digests.len());
    assert!(again < digests.len(), "no key remembered");
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    assert_eq!((node.reads(&license), node.cache.len()), (1, 1));
}

/// Each validation is a hit or a miss, or of a key that is known to be unknown; each miss is a read or waits for one.
#[tokio::test]
async fn hits_misses_loads_and_entries_are_counted() {
    let node = Node::new();
    assert!(node.cache.is_empty());
    let license = node.issued_elsewhere(&[]).await;
    let figures =
        || ["cache_hits", "cache_misses", "cache_loads", "cache_entries"].map(|name| node.figure(name));
    assert_eq!(figures(), [0, 0, 0, 0]);
    node.version(&license, Duration::ZERO).await;
    assert_eq!(figures(), [0, 1, 1, 1]);
    node.version(&license, Duration::ZERO).await;
    node.version(&license, Duration::ZERO).await;
    assert_eq!(figures(), [2, 1, 1, 1]);
    // Who does not call `recall` first is counted as well.
    node.cache.license_by_key(&license.key_digest, &anywhere(), start()).await.unwrap();
    assert_eq!(figures(), [3, 1, 1, 1]);
    let unknown = fresh_digest();
    node.version_of_key(&unknown, Duration::ZERO).await;
    node.version_of_key(&unknown, Duration::ZERO).await;
    assert_eq!(figures(), [3, 2, 2, 1]);
    node.here(&license.id, Command::Revoke).await;
    assert_eq!(figures(), [3, 2, 2, 0]);
    assert_eq!(node.figure("cache_outage_answers"), 0);
    assert!(!node.cache.is_down());
}

/// Validations are recorded by the store, each when it is told.
#[tokio::test]
async fn validations_are_passed_on() {
    let node = Node::new();
    let license = node.issued_elsewhere(&[]).await;
    let validation = Validation::new(license.id.clone(), start(), ValidationOutcome::Valid, anywhere());
    for count in 1..3 {
        node.cache.record(std::slice::from_ref(&validation), None).await.unwrap();
        assert_eq!(node.store.records(), count);
        let detail = node.cache.license(&license.id).await.unwrap().unwrap();
        assert_eq!(detail.counters.validation_count, count as u64);
    }
}

/// No task of a cache outlives it, also not one that waits for a store that is down.
#[tokio::test(start_paused = true)]
async fn a_cache_that_is_dropped_lets_go_of_its_store() {
    let Node { store, cache } = Node::with(CacheOptions::default());
    store.set_fault(Some(Fault::DOWN));
    assert!(cache.license_by_key(&fresh_digest(), &anywhere(), start()).await.is_err());
    assert!(cache.is_down());
    settled().await;
    drop(cache);
    settled().await;
    tokio::time::advance(SECOND).await;
    settled().await;
    assert_eq!(Arc::strong_count(&store), 1);
}

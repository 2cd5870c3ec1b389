//! Tests of the size bound of the cache and of its metrics.

use license_core::usage::ValidationOutcome;

use super::*;

const SIZE: usize = 256 << 10;
/// More entries than fit.
const MANY: usize = 2_000;

fn small() -> Node {
    Node::with(CacheOptions { size: SIZE, ..CacheOptions::default() })
}

/// Asserts that the cache is filled to its bound and not beyond.
fn assert_full(node: &Node) {
    let bytes = usize::try_from(node.metric("cache_bytes")).unwrap();
    assert!((SIZE * 3 / 4..=SIZE).contains(&bytes), "{bytes} of {SIZE} bytes");
}

#[tokio::test]
async fn entries_are_evicted_beyond_the_size() {
    let node = small();
    for _ in 0..MANY {
        let license = node.issue_elsewhere(&[]).await;
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    }
    assert_full(&node);
    assert!((SIZE / 1_000..MANY / 2).contains(&node.cache.len()), "{} entries", node.cache.len());
}

#[tokio::test]
async fn entry_with_many_bindings_counts_by_its_size() {
    let (few, many) = (small(), small());
    let long = |n: usize| format!("a-name-that-is-not-stored-in-place-{n}.example");
    let domains: Vec<_> = (0..20).map(long).collect();
    let domains: Vec<_> = domains.iter().map(String::as_str).collect();
    for _ in 0..MANY / 4 {
        for (node, domains) in [(&few, &domains[..1]), (&many, &domains)] {
            let license = node.issue_elsewhere(domains).await;
            assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
        }
    }
    assert_full(&many);
    assert!(many.cache.len() < few.cache.len() / 2, "{} and {}", many.cache.len(), few.cache.len());
}

/// Made-up claims of one large license do not grow the cache beyond its bound.
#[tokio::test]
async fn claims_of_large_license_are_evicted_beyond_the_size() {
    let node = small();
    let license = claims::large(&node, &[]).await;
    for number in 0..MANY {
        let claim = at_device(&format!("d{number}"));
        assert!(node.ask(&license, &claim, Duration::ZERO).await.is_some());
    }
    assert_full(&node);
}

#[tokio::test]
async fn license_larger_than_the_cache_is_loaded_each_time() {
    let node = Node::with(CacheOptions { size: 500, ..CacheOptions::default() });
    let license = claims::large(&node, &["a.example", "b.example"]).await;
    for (number, claim) in ["a.example", "b.example", "a.example"].map(at_domain).iter().enumerate() {
        assert!(node.ask(&license, claim, Duration::ZERO).await.unwrap().held(claim).domain);
        assert_eq!((node.reads(&license), node.cache.len()), (number + 1, 0));
    }
}

/// Invented keys neither grow the cache nor evict licenses.
#[tokio::test]
async fn negative_entries_are_bounded_and_evict_no_license() {
    const BOUND: usize = 10_000;
    let node = small();
    let license = node.issue_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    let digests: Vec<_> = (0..BOUND + 2_000).map(|_| fresh_digest()).collect();
    for _ in 0..2 {
        for digest in &digests {
            assert_eq!(node.version_of_key(digest, Duration::ZERO).await, None);
        }
    }
    let again = digests.iter().map(|digest| node.store.lookups(digest)).sum::<usize>() - digests.len();
    // The shards round the bound up.
    assert!(
        again >= digests.len() - BOUND - 256,
        "{} of {} keys cached",
        digests.len() - again,
        digests.len()
    );
    assert!(again < digests.len(), "no key cached");
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    assert_eq!((node.reads(&license), node.cache.len()), (1, 1));
}

/// A validation is a hit, a miss, or of a key known to be absent. A miss starts a load or joins one.
#[tokio::test]
async fn hits_misses_loads_and_entries_are_counted() {
    let node = Node::new();
    assert!(node.cache.is_empty());
    let license = node.issue_elsewhere(&[]).await;
    let counts =
        || ["cache_hits", "cache_misses", "cache_loads", "cache_entries"].map(|name| node.metric(name));
    assert_eq!((counts(), node.metric("cache_bytes")), ([0, 0, 0, 0], 0));
    node.version(&license, Duration::ZERO).await;
    assert_eq!(counts(), [0, 1, 1, 1]);
    assert!(node.metric("cache_bytes") > 0);
    node.version(&license, Duration::ZERO).await;
    node.version(&license, Duration::ZERO).await;
    assert_eq!(counts(), [2, 1, 1, 1]);
    let absent = fresh_digest();
    node.version_of_key(&absent, Duration::ZERO).await;
    node.version_of_key(&absent, Duration::ZERO).await;
    assert_eq!(counts(), [2, 2, 2, 1]);
    node.here(&license.id, rotate_to(fresh_digest())).await;
    assert_eq!(counts(), [2, 2, 2, 0]);
    assert_eq!(node.metric("cache_outage_answers"), 0);
    assert!(!node.cache.is_down());
}

#[tokio::test]
async fn validations_are_forwarded() {
    let node = Node::new();
    let license = node.issue_elsewhere(&[]).await;
    let validation = Validation::new(license.id.clone(), start(), ValidationOutcome::Valid, anywhere());
    for count in 1..3 {
        node.cache.record(std::slice::from_ref(&validation), None).await.unwrap();
        assert_eq!(node.store.calls("record"), count);
        let detail = node.cache.get(&license.id).await.unwrap().unwrap();
        assert_eq!(detail.counters.validation_count, count as u64);
    }
}

/// No task outlives the cache, not even one that probes a store that is down.
#[tokio::test(start_paused = true)]
async fn dropped_cache_releases_its_store() {
    let Node { store, cache, .. } = Node::with(CacheOptions::default());
    store.set(Fault::Unavailable);
    assert!(cache.find_by_key(&fresh_digest(), &anywhere()).await.is_err());
    assert!(cache.is_down());
    settled().await;
    drop(cache);
    settled().await;
    tokio::time::advance(SECOND).await;
    settled().await;
    assert_eq!(Arc::strong_count(&store), 1);
}

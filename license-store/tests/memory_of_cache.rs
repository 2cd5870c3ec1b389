//! The memory of a cache, compared with its bound.

#![cfg(feature = "sqlite")]

use std::sync::Arc;

use license_core::catalog::PlanCatalog;
use license_core::clock::ManualClock;
use license_core::command::{LicenseSpec, create};
use license_core::domain::DomainName;
use license_core::key::{KeyDigest, SealedKey};
use license_core::license::{CustomerEmail, LicenseId, Metadata};
use license_core::limits;
use license_core::store::LicenseStore;
use license_core::trial::TrialKey;
use license_core::validation::Claim;
use license_store::cache::{Cache, CacheOptions};
use license_store::sql::sqlite::SqliteStore;
use serde_json::json;

/// Counts allocations. This program has one test, so that nothing else allocates.
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const SIZE: usize = 256 << 10;
/// The cache takes at most this much of its bound, in percent.
const MOST: usize = 110;
/// The cache takes at least this much of its bound, in percent.
const LEAST: usize = 50;
/// The claims of a large license share its fields, but the weight of each entry includes them: when the other
/// entries are evicted, the last one alone keeps them.
const LEAST_OF_SHARED: usize = 35;

/// Stores a license and returns the digest of its key.
async fn issue(store: &SqliteStore, number: u32, domains: Vec<String>, metadata: Metadata) -> KeyDigest {
    let (plans, now) = (PlanCatalog::standard(), "2026-01-01T00:00:00Z".parse().expect("a time"));
    let email = CustomerEmail::parse(&format!("customer-{number}@example.com")).expect("an address");
    let mut spec = LicenseSpec::new("enterprise", email);
    spec.domains = domains.iter().map(|text| DomainName::parse(text).expect("a domain")).collect();
    spec.metadata = metadata;
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&number.to_le_bytes());
    let key = (KeyDigest::from_bytes(digest), SealedKey::from_bytes(vec![1; 60]));
    let id = LicenseId::parse(&format!("lic_{number}")).expect("an id");
    let new =
        create(id, key, &spec, None, &plans, &TrialKey::from_bytes([7; 32]).into(), now).expect("in bounds");
    store.create(&new).await.expect("create");
    new.license.key_digest
}

async fn load(cache: &Cache, digest: &KeyDigest, domain: &str) {
    let claim = Claim { domain: DomainName::parse(domain).ok(), ..Claim::default() };
    cache.find_by_key(digest, &claim).await.expect("a store").expect("a license");
}

/// Loads more than fits, and asserts that the memory is what the bound says.
async fn assert_bounded(what: &str, store: &Arc<SqliteStore>, claims: &[(KeyDigest, String)], least: usize) {
    let options = CacheOptions { size: SIZE, ..CacheOptions::default() };
    // The connections of the database allocate what they need.
    let new_cache = || {
        let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().expect("a time"));
        Cache::new(Arc::clone(store) as _, Arc::new(clock), options)
    };
    let warm = new_cache();
    for (digest, domain) in &claims[..10] {
        load(&warm, digest, domain).await;
    }
    drop(warm);
    let _profiler = dhat::Profiler::builder().testing().build();
    let cache = new_cache();
    for (digest, domain) in claims {
        load(&cache, digest, domain).await;
    }
    assert!(cache.len() < claims.len(), "{what}: all {} entries fit", claims.len());
    let percent = dhat::HeapStats::get().curr_bytes * 100 / SIZE;
    assert!((least..=MOST).contains(&percent), "{what}: {percent} % of the bound");
}

#[tokio::test]
async fn cache_takes_at_most_a_tenth_more_than_its_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path().join("licenses.db")).await.expect("a database");
    let store = Arc::new(store);
    let mut number = 0..;
    let mut issue = async |domains: Vec<String>, metadata| {
        issue(&store, number.next().expect("endless"), domains, metadata).await
    };
    let named = |count: usize| (0..count).map(|n| format!("d{n}.example.com")).collect::<Vec<_>>();

    let mut claims = Vec::new();
    for n in 0..700 {
        claims.push((issue(named(n % 4), Metadata::default()).await, "d0.example.com".to_owned()));
    }
    assert_bounded("few bindings", &store, &claims, LEAST).await;

    claims.clear();
    for _ in 0..30 {
        let long: Vec<_> = (0..200).map(|n| format!("{}.d{n}.example.com", "a".repeat(60))).collect();
        claims.push((issue(long, Metadata::default()).await, "d0.example.com".to_owned()));
    }
    assert_bounded("many long bindings", &store, &claims, LEAST).await;

    claims.clear();
    for _ in 0..30 {
        let notes: serde_json::Map<_, _> =
            (0..50).map(|n| (format!("k{n}"), json!([n, "text", {"a": n}]))).collect();
        let metadata = Metadata::from_json(notes.into()).expect("in bounds");
        claims.push((issue(named(1), metadata).await, "d0.example.com".to_owned()));
    }
    assert_bounded("metadata", &store, &claims, LEAST).await;

    claims.clear();
    let inline = usize::try_from(limits::MAX_INLINE_BINDINGS).expect("few");
    let large = issue(named(inline + 1), Metadata::default()).await;
    claims.extend((0..700).map(|n| (large, format!("d{n}.example.com"))));
    assert_bounded("claims of a large license", &store, &claims, LEAST_OF_SHARED).await;
}

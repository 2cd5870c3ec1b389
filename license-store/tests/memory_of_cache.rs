//! What a license in memory takes.

#![cfg(feature = "sqlite")]

use std::sync::Arc;

use license_core::command::{LicenseSpec, create};
use license_core::customer::CustomerEmail;
use license_core::domain::DomainName;
use license_core::key::{DataKeys, KeyDigest, KeyFormat, KeyVault};
use license_core::license::LicenseId;
use license_core::limits;
use license_core::plan::PlanCatalog;
use license_core::store::LicenseStore;
use license_core::verdict::Claim;
use license_store::cached::{CacheOptions, Cached};
use license_store::sql::sqlite::SqliteStore;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// Counts what is allocated, here and in nothing else: this program has one test.
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const LICENSES: u32 = 1_000;
/// Bytes of one license with three domains.
const MOST: usize = 600;
/// Bytes of a claim on a license that has too many domains to be read whole: what all claims share is not in it.
const MOST_OF_A_CLAIM: usize = 450;

/// By what is asked of the allocator, with the table that finds them full.
#[tokio::test]
async fn a_license_with_three_domains_takes_less_than_600_bytes_and_a_claim_on_a_large_one_less() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path().join("licenses.db")).await.expect("a database");
    let (plans, now) = (PlanCatalog::standard(), "2026-01-01T00:00:00Z".parse().expect("a time"));
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let vault = KeyVault::new(&DataKeys::generate(&mut rng).expect("randomness"));
    let mut licenses = Vec::new();
    for n in 0..=LICENSES {
        let id = LicenseId::generate(now, &mut rng).expect("randomness");
        let key = KeyFormat::default().generate(&mut rng).expect("randomness");
        let sealed = vault.seal(&key, id.as_str(), &mut rng).expect("randomness");
        let email = CustomerEmail::parse(&format!("customer-{n}@example.com")).expect("an address");
        let parts: Vec<_> = if n < LICENSES {
            ["shop", "blog", "www-2"].map(str::to_owned).into()
        } else {
            (0..=limits::BINDINGS_READ).map(|part| part.to_string()).collect()
        };
        let mut spec = LicenseSpec::new("enterprise", email);
        let domain = |part| DomainName::parse(&format!("{part}.c{n}.example.com")).expect("a domain");
        spec.domains = parts.into_iter().map(domain).collect();
        let new = create(id, (vault.digest(&key), sealed), &spec, None, &plans, now).expect("in bounds");
        licenses.push(new.license.key_digest);
        store.create(&new).await.expect("create");
    }
    let large = licenses.pop().expect("the last one");
    let options = CacheOptions { entries: LICENSES as usize, ..CacheOptions::default() };
    let store = Arc::new(store);
    let cached = Cached::new(Arc::clone(&store), options);
    let claim = |n| Claim { domain: DomainName::parse(&format!("a{n}.example.com")).ok(), fingerprint: None };
    let read = async |cached: &Cached<Arc<SqliteStore>>, digest: &KeyDigest, n: usize| {
        cached.license_by_key(digest, &claim(n), now).await.expect("a store").expect("a license");
    };
    // The table may have had room for some already.
    let tenth = LICENSES as usize / 10;
    // What the database's connections need, they have; and a second read finds all that the first one left.
    for digest in &licenses[..tenth] {
        read(&cached, digest, 0).await;
    }
    let each = {
        let _profiler = dhat::Profiler::builder().testing().build();
        let before = dhat::HeapStats::get().curr_bytes;
        for digest in &licenses[tenth..] {
            read(&cached, digest, 0).await;
        }
        let remembered = cached.len() - tenth;
        assert!(remembered > tenth * 8, "{remembered} are remembered");
        (dhat::HeapStats::get().curr_bytes - before) / remembered
    };
    println!("{each} bytes a license");
    assert!(each < MOST, "{each} bytes a license");
    assert!(each > 200, "{each} bytes a license: they are somewhere else");

    // All have room, so that each that was asked for is there.
    let options = CacheOptions { entries: LICENSES as usize * 4, ..CacheOptions::default() };
    let cached = Cached::new(store, options);
    for n in 0..tenth {
        read(&cached, &large, n).await;
    }
    let _profiler = dhat::Profiler::builder().testing().build();
    let before = dhat::HeapStats::get().curr_bytes;
    for n in tenth..LICENSES as usize {
        read(&cached, &large, n).await;
    }
    let each = (dhat::HeapStats::get().curr_bytes - before) / (LICENSES as usize - tenth);
    println!("{each} bytes a claim");
    assert!(each < MOST_OF_A_CLAIM, "{each} bytes a claim");
    assert!(each > 100, "{each} bytes a claim: they are somewhere else");
}

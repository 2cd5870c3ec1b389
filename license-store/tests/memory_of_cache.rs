//! What a license in memory takes.

#![cfg(feature = "sqlite")]

use license_core::command::{LicenseSpec, create};
use license_core::customer::CustomerEmail;
use license_core::domain::DomainName;
use license_core::key::{KeyFormat, KeyVault, Secret};
use license_core::license::LicenseId;
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

/// By what is asked of the allocator, with the table that finds them full.
#[tokio::test]
async fn a_license_with_three_domains_takes_less_than_600_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path().join("licenses.db")).await.expect("a database");
    let (plans, now) = (PlanCatalog::standard(), "2026-01-01T00:00:00Z".parse().expect("a time"));
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let vault = KeyVault::new(&Secret::from_hex(&"5a".repeat(32)).expect("hex digits"));
    let mut digests = Vec::new();
    for n in 0..LICENSES {
        let id = LicenseId::generate(now, &mut rng).expect("randomness");
        let key = KeyFormat::default().generate(&mut rng).expect("randomness");
        let sealed = vault.seal(&key, id.as_str(), &mut rng).expect("randomness");
        let email = CustomerEmail::parse(&format!("customer-{n}@example.com")).expect("an address");
        let mut spec = LicenseSpec::new("professional", email);
        let domain = |part| DomainName::parse(&format!("{part}.c{n}.example.com")).expect("a domain");
        spec.domains = ["shop", "blog", "www-2"].map(domain).into();
        let new = create(id, (vault.digest(&key), sealed), &spec, None, &plans, now).expect("in bounds");
        digests.push(new.license.key_digest);
        store.create(&new).await.expect("create");
    }
    let options = CacheOptions { entries: LICENSES as usize, ..CacheOptions::default() };
    let cached = Cached::new(store, options);
    let claim = Claim { domain: DomainName::parse("shop.c1.example.com").ok(), fingerprint: None };
    // What the database's connections need, they have; and a second read finds all that the first one left.
    let read = async |cached: &Cached<SqliteStore>, digests: &[_]| {
        for digest in digests {
            cached.license_by_key(digest, &claim, now).await.expect("a store").expect("a license");
        }
    };
    let (few, most) = digests.split_at(LICENSES as usize / 10);
    read(&cached, few).await;
    let _profiler = dhat::Profiler::builder().testing().build();
    let before = dhat::HeapStats::get().curr_bytes;
    read(&cached, most).await;
    let taken = dhat::HeapStats::get().curr_bytes - before;
    // The table may have had room for some already.
    let remembered = cached.len() - few.len();
    assert!(remembered > most.len() * 9 / 10, "{remembered} are remembered");
    let each = taken / remembered;
    assert!(each < MOST, "{each} bytes a license");
    assert!(each > 200, "{each} bytes a license: they are somewhere else");
    println!("{each} bytes a license");
}

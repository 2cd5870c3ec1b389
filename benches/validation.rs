//! What a validation costs, in parts and whole. Run it: `cargo bench -p license-benches`

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use license_core::clock::{Clock, SystemClock, SystemRng};
use license_core::command::{Idempotency, LicenseSpec, create};
use license_core::customer::CustomerEmail;
use license_core::domain::DomainName;
use license_core::key::{KeyFormat, KeyVault, Secret};
use license_core::license::{License, LicenseId};
use license_core::plan::PlanCatalog;
use license_core::service::{LicenseService, ValidateRequest};
use license_core::store::LicenseStore;
use license_core::verdict::{Claim, Standing, judge};
use license_store::memory::MemoryStore;
use license_store::sql::sqlite::SqliteStore;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use tokio::runtime::Runtime;

fn secret() -> Secret {
    Secret::from_hex(&"5a".repeat(32)).expect("hex digits")
}

fn spec() -> LicenseSpec {
    let mut spec =
        LicenseSpec::new("professional", CustomerEmail::parse("dev@example.com").expect("an address"));
    spec.domains = ["example.com", "example.org", "example.net"]
        .into_iter()
        .map(|text| DomainName::parse(text).expect("a domain"))
        .collect();
    spec
}

fn parts(criterion: &mut Criterion) {
    let format = KeyFormat::default();
    let vault = KeyVault::new(&secret());
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = format.generate(&mut rng).expect("a seeded generator does not fail");
    let typed = key.reveal().to_owned();
    criterion.bench_function("key/generate (system generator)", |bench| {
        bench.iter(|| format.generate(&mut SystemRng).expect("randomness"));
    });
    criterion.bench_function("key/parse", |bench| bench.iter(|| format.parse(black_box(&typed))));
    criterion.bench_function("key/digest", |bench| bench.iter(|| vault.digest(black_box(&key))));
    criterion.bench_function("domain/parse", |bench| {
        bench.iter(|| DomainName::parse(black_box("shop.example.com")));
    });

    let (plans, now) = (PlanCatalog::standard(), SystemClock.now());
    let id = LicenseId::generate(now, &mut rng).expect("a seeded generator does not fail");
    let sealed = vault.seal(&key, id.as_str(), &mut rng).expect("a seeded generator does not fail");
    let idempotency: Option<Idempotency> = None;
    let new = create(id, (vault.digest(&key), sealed), &spec(), idempotency, &plans, now).expect("in bounds");
    let license = License { activated_at: Some(now), ..new.license };
    let bindings = new.activations.into_iter().map(|activation| activation.binding);
    let standing = Standing::new(Arc::new(license), bindings);
    let claim = Claim { domain: DomainName::parse("example.com").ok(), fingerprint: None };
    criterion.bench_function("judge", |bench| {
        bench.iter(|| judge(black_box(&standing), black_box(&claim), &plans, now));
    });
}

fn validate(criterion: &mut Criterion, runtime: &Runtime, name: &str, store: Arc<dyn LicenseStore>) {
    let (service, key) = runtime.block_on(async {
        let service = LicenseService::builder(store, &secret(), SystemClock, SystemRng).build().await;
        let service = service.expect("a service");
        let issued = service.issue(&spec(), None).await.expect("a license");
        (service, issued.key)
    });
    criterion.bench_function(name, |bench| {
        bench.to_async(runtime).iter(|| async {
            let request =
                ValidateRequest { key: key.reveal(), domain: Some("example.com"), fingerprint: None };
            let verdict = service.validate(black_box(&request)).await.expect("a verdict");
            assert!(verdict.is_valid());
        });
    });
}

fn whole(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    validate(criterion, &runtime, "validate/memory", Arc::new(MemoryStore::new()));
    let folder = tempfile::tempdir().expect("a folder");
    let file = runtime.block_on(SqliteStore::open(folder.path().join("licenses.db"))).expect("a database");
    validate(criterion, &runtime, "validate/sqlite", Arc::new(file));
}

criterion_group!(benches, parts, whole);
criterion_main!(benches);

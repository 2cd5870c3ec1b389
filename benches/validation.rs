//! Measures a validation in process, as a whole and its parts.
//!
//! Run it with `benches/validation`, which starts a PostgreSQL, or with `cargo bench -p license-benches
//! --bench validation`. The bench `scale` measures many licenses and activations.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use license_core::catalog::PlanCatalog;
use license_core::clock::{Clock, SystemClock, SystemRng};
use license_core::command::{Idempotency, LicenseSpec, create};
use license_core::domain::DomainName;
use license_core::key::{DataKeys, KeyFormat, KeyVault, LicenseKey, Secret};
use license_core::license::{CustomerEmail, License, LicenseId};
use license_core::service::{
    Health, LicenseService, ServiceContext, ServiceOptions, Services, ValidateRequest, ValidationService,
};
use license_core::signing::{Nonce, ProofRequest, ProvenAnswer};
use license_core::store::{FullStore, LicenseStore};
use license_core::trial::TrialKeys;
use license_core::validation::{Claim, LicenseSnapshot, evaluate};
use license_store::cache::{Cache, CacheOptions};
use license_store::group_commit::{GroupCommit, GroupCommitOptions};
use license_store::memory::MemoryStore;
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use license_store::sql::sqlite::SqliteStore;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use test_database::TestDatabase;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

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
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let vault = KeyVault::new(&DataKeys::generate(&mut rng).expect("a seeded generator does not fail"));
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
    let new =
        create(id, (vault.digest(&key), sealed), &spec(), idempotency, &plans, &TrialKeys::new(&vault), now)
            .expect("in bounds");
    let license = License { activated_at: Some(now), ..new.license };
    let bindings = new.activations.into_iter().map(|activation| activation.binding);
    let snapshot = LicenseSnapshot::new(Arc::new(license), bindings);
    let claim = Claim { domain: DomainName::parse("example.com").ok(), ..Claim::default() };
    criterion.bench_function("evaluate", |bench| {
        bench.iter(|| evaluate(black_box(&snapshot), black_box(&claim), &plans, now));
    });
}

/// Number of concurrent tasks.
const TASKS: usize = 64;

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
fn now() -> Instant {
    Instant::now()
}

/// Services and the keys of their licenses, each validated once.
struct Fixture {
    validation: ValidationService,
    keys: Vec<LicenseKey>,
}

impl Fixture {
    async fn new(store: Arc<dyn LicenseStore>, licenses: usize) -> Arc<Self> {
        let options = ServiceOptions::new(&secret(), SystemClock, SystemRng);
        let context = ServiceContext::open(&*store, options).await.expect("a context");
        let service = LicenseService::new(Arc::clone(&store), Arc::clone(&context));
        let validation = ValidationService::new(store, None, Health::default(), context);
        let mut fixture = Self { validation, keys: Vec::with_capacity(licenses) };
        for n in 0..licenses {
            let issued = service.issue(&spec(), None).await.expect("a license");
            fixture.keys.push(issued.key);
            fixture.validate(n).await;
        }
        Arc::new(fixture)
    }

    async fn validate(&self, license: usize) {
        let key = self.keys[license].reveal();
        let request = ValidateRequest { key, domain: Some("example.com"), ..Default::default() };
        let verdict = self.validation.validate(black_box(&request)).await.expect("a verdict");
        assert!(verdict.is_valid());
    }

    /// Validates the n-th license of an order that the CPU cannot predict.
    async fn validate_any(&self, n: usize) {
        // Multiples of the golden ratio's fraction are evenly distributed.
        let spread = n.wrapping_mul(0x9e37_79b9) >> 8;
        self.validate(spread % self.keys.len()).await;
    }
}

/// Measures validations by one task and by many. With many, the result is the total time divided by the
/// validations.
fn validate(criterion: &mut Criterion, runtime: &Runtime, name: &str, fixture: &Arc<Fixture>) {
    let count = AtomicUsize::new(0);
    criterion.bench_function(&format!("{name}, 1 task"), |bench| {
        bench.to_async(runtime).iter(|| fixture.validate_any(count.fetch_add(1, Ordering::Relaxed)));
    });
    criterion.bench_function(&format!("{name}, {TASKS} tasks"), |bench| {
        bench.to_async(runtime).iter_custom(|validations| async move {
            let validations = usize::try_from(validations).expect("small");
            let start = now();
            let mut tasks = JoinSet::new();
            for task in 0..TASKS {
                let fixture = Arc::clone(fixture);
                tasks.spawn(async move {
                    for n in (task..validations).step_by(TASKS) {
                        fixture.validate_any(n).await;
                    }
                });
            }
            tasks.join_all().await;
            start.elapsed()
        });
    });
}

/// Wraps a store as the server does, with cache and group commit.
fn wrap(store: impl LicenseStore) -> Arc<dyn LicenseStore> {
    let grouped = GroupCommit::new(Arc::new(store), GroupCommitOptions::default(), &mut SystemRng);
    cached(grouped.expect("randomness"))
}

fn cached(store: impl LicenseStore) -> Arc<dyn LicenseStore> {
    Arc::new(Cache::new(Arc::new(store), Arc::new(SystemClock), CacheOptions::default()))
}

fn complete(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let within = runtime.enter();
    let mut bench = |name: &str, store, licenses| {
        validate(criterion, &runtime, name, &runtime.block_on(Fixture::new(store, licenses)));
    };
    bench("validate/memory", Arc::new(MemoryStore::new()), 1);
    for (name, licenses) in [("1 license", 1), ("1k licenses", 1_000), ("100k licenses", 100_000)] {
        bench(&format!("validate/memory, cached, {name}"), cached(MemoryStore::new()), licenses);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite =
        |name: &str| runtime.block_on(SqliteStore::open(folder.path().join(name))).expect("a database");
    bench("validate/sqlite", Arc::new(sqlite("bare.db")), 1_000);
    bench("validate/sqlite, cached", wrap(sqlite("cached.db")), 1_000);
    let postgres = || {
        let database = runtime.block_on(TestDatabase::new())?;
        let store = runtime.block_on(PostgresStore::connect(&database.url(), &PostgresOptions::default()));
        Some((store.expect("a database"), database))
    };
    // `TestDatabase` reports a missing PostgreSQL.
    if let (Some((bare, _one)), Some((cached, _other))) = (postgres(), postgres()) {
        bench("validate/postgres", Arc::new(bare), 1_000);
        bench("validate/postgres, cached", wrap(cached), 1_000);
    }
    drop(within);
}

/// Measures a validation without a nonce, and one with a nonce, whose answer is signed. Their ratio in one
/// run is the cost of a proof.
fn proofs(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let store: Arc<dyn FullStore> = Arc::new(MemoryStore::new());
    let options = ServiceOptions::new(&secret(), SystemClock, SystemRng);
    let services = runtime.block_on(Services::open(store, options)).expect("services");
    let issued = runtime.block_on(services.licenses.issue(&spec(), None)).expect("a license");
    let key = issued.key.reveal();
    let body = format!(r#"{{"key":"{key}","domain":"example.com","nonce":"BwcHBwcHBwcHBwcHBwcHBw"}}"#);
    let nonce = Nonce::parse("BwcHBwcHBwcHBwcHBwcHBw").expect("a nonce");
    let request = ValidateRequest { key, domain: Some("example.com"), ..Default::default() };
    let validate = async || services.validation.validate(black_box(&request)).await.expect("a verdict");
    criterion.bench_function("validate/memory, without a nonce", |bench| {
        bench.to_async(&runtime).iter(&validate);
    });
    criterion.bench_function("validate/memory, with a nonce", |bench| {
        bench.to_async(&runtime).iter(async || {
            let verdict = validate().await;
            let asked = ProofRequest::new(nonce.clone(), black_box(body.as_bytes()), services.now());
            let answer = ProvenAnswer::of(&verdict, 200);
            services.signing.prove(&asked, None, &answer).await.expect("a proof")
        });
    });
}

criterion_group!(benches, parts, complete, proofs);
criterion_main!(benches);

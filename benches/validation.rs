//! What a validation costs in process, in parts and whole. Run it: `cargo bench -p license-benches --bench validation`;
//! `benches/validation` starts a PostgreSQL for it. What many licenses and many activations cost a database is in `scale.rs`.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use license_core::clock::{Clock, SystemClock, SystemRng};
use license_core::command::{Idempotency, LicenseSpec, create};
use license_core::customer::CustomerEmail;
use license_core::domain::DomainName;
use license_core::key::{DataKeys, KeyFormat, KeyVault, LicenseKey, Secret};
use license_core::license::{License, LicenseId};
use license_core::plan::PlanCatalog;
use license_core::service::{LicenseService, ValidateRequest};
use license_core::store::LicenseStore;
use license_core::verdict::{Claim, Standing, judge};
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
    let new = create(id, (vault.digest(&key), sealed), &spec(), idempotency, &plans, now).expect("in bounds");
    let license = License { activated_at: Some(now), ..new.license };
    let bindings = new.activations.into_iter().map(|activation| activation.binding);
    let standing = Standing::new(Arc::new(license), bindings);
    let claim = Claim { domain: DomainName::parse("example.com").ok(), fingerprint: None };
    criterion.bench_function("judge", |bench| {
        bench.iter(|| judge(black_box(&standing), black_box(&claim), &plans, now));
    });
}

/// Tasks that validate at once, where many do.
const TASKS: usize = 64;

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
fn now() -> Instant {
    Instant::now()
}

/// A service, and the keys of its licenses, each of them validated once.
struct Scene {
    service: LicenseService,
    keys: Vec<LicenseKey>,
}

impl Scene {
    async fn new(store: Arc<dyn LicenseStore>, licenses: usize) -> Arc<Self> {
        let service = LicenseService::builder(store, &secret(), SystemClock, SystemRng).build().await;
        let service = service.expect("a service");
        let mut scene = Self { service, keys: Vec::with_capacity(licenses) };
        for n in 0..licenses {
            let issued = scene.service.issue(&spec(), None).await.expect("a license");
            scene.keys.push(issued.key);
            scene.validate(n).await;
        }
        Arc::new(scene)
    }

    async fn validate(&self, license: usize) {
        let key = self.keys[license].reveal();
        let request = ValidateRequest { key, domain: Some("example.com"), ..Default::default() };
        let verdict = self.service.validate(black_box(&request)).await.expect("a verdict");
        assert!(verdict.is_valid());
    }

    /// Of the licenses the one with that number, in an order that no processor foresees.
    async fn validate_any(&self, n: usize) {
        // Multiples of the golden ratio's fraction are spread evenly.
        let spread = n.wrapping_mul(0x9e37_79b9) >> 8;
        self.validate(spread % self.keys.len()).await;
    }
}

/// Validations by one task, and by many at once: then the time of all by their number.
fn validate(criterion: &mut Criterion, runtime: &Runtime, name: &str, scene: &Arc<Scene>) {
    let count = AtomicUsize::new(0);
    criterion.bench_function(&format!("{name}, 1 task"), |bench| {
        bench.to_async(runtime).iter(|| scene.validate_any(count.fetch_add(1, Ordering::Relaxed)));
    });
    criterion.bench_function(&format!("{name}, {TASKS} tasks"), |bench| {
        bench.to_async(runtime).iter_custom(|validations| async move {
            let validations = usize::try_from(validations).expect("what one machine can do");
            let start = now();
            let mut tasks = JoinSet::new();
            for task in 0..TASKS {
                let scene = Arc::clone(scene);
                tasks.spawn(async move {
                    for n in (task..validations).step_by(TASKS) {
                        scene.validate_any(n).await;
                    }
                });
            }
            tasks.join_all().await;
            start.elapsed()
        });
    });
}

/// As the server sets it up: remembered, and committed in groups.
fn in_front<S: LicenseStore>(store: S) -> Arc<dyn LicenseStore> {
    let grouped = GroupCommit::new(store, GroupCommitOptions::default(), &mut SystemRng).expect("randomness");
    Arc::new(Cache::new(grouped, CacheOptions::default()))
}

fn whole(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let within = runtime.enter();
    let mut bench = |name: &str, store, licenses| {
        validate(criterion, &runtime, name, &runtime.block_on(Scene::new(store, licenses)));
    };
    bench("validate/memory", Arc::new(MemoryStore::new()), 1);
    for (name, licenses) in [("1 license", 1), ("1k licenses", 1_000), ("100k licenses", 100_000)] {
        let store = Cache::new(MemoryStore::new(), CacheOptions::default());
        bench(&format!("validate/memory, cached, {name}"), Arc::new(store), licenses);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite =
        |name: &str| runtime.block_on(SqliteStore::open(folder.path().join(name))).expect("a database");
    bench("validate/sqlite", Arc::new(sqlite("bare.db")), 1_000);
    bench("validate/sqlite, cached", in_front(sqlite("cached.db")), 1_000);
    let postgres = || {
        let database = runtime.block_on(TestDatabase::new())?;
        let store = runtime.block_on(PostgresStore::connect(&database.url(), &PostgresOptions::default()));
        Some((store.expect("a database"), database))
    };
    // Said loudly where there is none.
    if let (Some((bare, _one)), Some((cached, _other))) = (postgres(), postgres()) {
        bench("validate/postgres", Arc::new(bare), 1_000);
        bench("validate/postgres, cached", in_front(cached), 1_000);
    }
    drop(within);
}

criterion_group!(benches, parts, whole);
criterion_main!(benches);

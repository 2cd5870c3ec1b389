//! Measures how the cost of operations grows from 1k to 1M licenses, and with 100k activations. Prints
//! Markdown tables.
//!
//! Run it with `benches/scale`, which starts a PostgreSQL. `--quick` uses 1k and 10k licenses; `--only
//! sqlite` or `--only postgres` selects a store.

#![expect(clippy::print_stdout, reason = "the bench prints a table")]

#[path = "fill.rs"]
#[expect(dead_code, reason = "other benches use more of it")]
mod fill;

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use license_core::catalog::PlanCatalog;
use license_core::clock::{Clock, SystemClock, SystemRng};
use license_core::command::{Command, CommandContext, CommandOutcome};
use license_core::key::Secret;
use license_core::license::ActivationId;
use license_core::service::{Health, ServiceContext, ServiceOptions, ValidateRequest, ValidationService};
use license_core::store::{LicenseFilter, LicenseQuery, LicenseStore, PageRequest};
use license_core::trial::TrialKey;
use license_core::validation::Claim;
use license_store::cache::{Cache, CacheOptions};
use license_store::group_commit::{GroupCommit, GroupCommitOptions};
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use license_store::sql::sqlite::SqliteStore;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use tempfile::TempDir;
use test_database::TestDatabase;

use fill::{IssuedLicense, LicenseGenerator, RawConnection, SECRET, customer, device, now, store_data_keys};

/// Samples per result, after a warm-up of a tenth as many.
const SAMPLES: usize = 2_000;
/// Samples of reads by key. With 2,000, the median differs by 10 % between runs.
const READS: usize = 20_000;
/// Rounds of results that have a budget. The median ratio counts, because single ratios differ by 10 % and
/// more.
const ROUNDS: usize = 5;
/// Consecutive samples of one database. Databases alternate, so that noise affects all of them.
const CONSECUTIVE: usize = 200;
/// Cached licenses, and used domains of the large license: few enough that the warm-up caches all of them.
const IN_USE: usize = 100;
/// Activations of the large license.
const MANY: usize = 100_000;

/// A filled database.
struct FilledDatabase {
    store: Arc<dyn LicenseStore>,
    /// Service with cache and group commit, as in the server.
    cached: ValidationService,
    /// Service without cache and group commit.
    uncached: ValidationService,
    licenses: Vec<IssuedLicense>,
    load: Duration,
    size: i64,
    rng: ChaCha20Rng,
    /// Devices activated so far.
    activated: usize,
    storage: Storage,
}

/// Storage of a database. Removed when dropped.
enum Storage {
    Sqlite { folder: TempDir },
    Postgres { _database: Box<TestDatabase> },
}

#[derive(Clone, Copy)]
enum Engine {
    Sqlite,
    Postgres,
}

async fn service(store: Arc<dyn LicenseStore>) -> ValidationService {
    let options = ServiceOptions::new(&Secret::from_hex(SECRET).expect("hex digits"), SystemClock, SystemRng);
    let context = ServiceContext::open(&*store, options).await.expect("a context");
    ValidationService::new(store, None, Health::default(), context)
}

impl FilledDatabase {
    async fn new(engine: Engine, shape: &[(usize, usize)]) -> Option<Self> {
        let (store, mut raw, storage): (Arc<dyn LicenseStore>, _, _) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                let path = folder.path().join("licenses.db");
                let store = SqliteStore::open(&path).await.expect("a store");
                (Arc::new(store), RawConnection::sqlite(&path).await, Storage::Sqlite { folder })
            }
            Engine::Postgres => {
                let database = TestDatabase::new().await?;
                let store = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await;
                let raw = RawConnection::postgres(&database).await;
                (Arc::new(store.expect("a store")), raw, Storage::Postgres { _database: Box::new(database) })
            }
        };
        store_data_keys(&*store).await;
        let (mut generator, mut licenses, mut load) = (LicenseGenerator::new(), Vec::new(), Duration::ZERO);
        for &(count, domains) in shape {
            let (known, took) = raw.fill(&mut generator, count, domains).await;
            licenses.extend(known);
            load += took;
        }
        let start = now();
        raw.settle().await;
        load += start.elapsed();
        let size = raw.size().await;
        let group = GroupCommitOptions::default();
        let grouped = GroupCommit::new(Arc::clone(&store), group, &mut SystemRng).expect("randomness");
        let cached = Cache::new(Arc::new(grouped), Arc::new(SystemClock), CacheOptions::default());
        let rng = ChaCha20Rng::seed_from_u64(1);
        Some(Self {
            cached: service(Arc::new(cached)).await,
            uncached: service(Arc::clone(&store)).await,
            store,
            licenses,
            load,
            size,
            rng,
            activated: 0,
            storage,
        })
    }

    /// Reads the SQLite file into the page cache. The system evicts parts of it while the next database is
    /// filled. `VACUUM` does the same for PostgreSQL.
    fn warm(&self) {
        if let Storage::Sqlite { folder } = &self.storage {
            let mut file = File::open(folder.path().join("licenses.db")).expect("the file");
            io::copy(&mut file, &mut io::sink()).expect("the file is readable");
        }
    }

    fn random_license(&mut self) -> IssuedLicense {
        let n = self.rng.random_range(0..self.licenses.len());
        self.licenses[n].clone()
    }

    async fn read_by_key(&mut self, known: &IssuedLicense) -> Duration {
        let domain = known.domain(self.rng.random_range(0..known.domains));
        let claim = Claim { domain: Some(domain), ..Claim::default() };
        let start = now();
        let snapshot = self.store.find_by_key(&known.digest, &claim).await;
        let took = start.elapsed();
        assert!(snapshot.expect("a store").expect("a license").held(&claim).domain);
        took
    }

    /// Activates a new device, then releases it so that the number of activations stays the same. Only the
    /// activation is timed.
    async fn activate(&mut self, known: &IssuedLicense, context: &CommandContext) -> Duration {
        self.activated += 1;
        let claim = Claim { fingerprint: Some(device(self.activated)), ..Claim::default() };
        let start = now();
        let outcome = self.store.execute(&known.id, &Command::Activate(claim), context).await;
        let took = start.elapsed();
        let CommandOutcome::Done(license) = outcome.expect("a store") else { panic!("no slot") };
        let suffix = known.id.as_str().trim_start_matches("lic_");
        let id = ActivationId::parse(&format!("act_{suffix}_{:010}", license.last_event)).expect("an id");
        let released = self.store.execute(&known.id, &Command::Release(id), context).await;
        assert!(matches!(released, Ok(CommandOutcome::Done(_))), "{released:?}");
        took
    }

    async fn validate(
        &mut self,
        service: impl Fn(&Self) -> &ValidationService,
        known: &IssuedLicense,
    ) -> Duration {
        let domain = known.domain(self.rng.random_range(0..known.domains.min(IN_USE)));
        let request =
            ValidateRequest { key: known.key.reveal(), domain: Some(domain.as_str()), ..Default::default() };
        let start = now();
        let verdict = service(self).validate(&request).await;
        let took = start.elapsed();
        assert!(verdict.expect("a verdict").is_valid());
        took
    }

    async fn page(&self, filter: &LicenseFilter, min_items: usize) -> Duration {
        let (at, page) = (SystemClock.now(), PageRequest::default());
        let query = LicenseQuery { filter: filter.clone(), at, page };
        let start = now();
        let page = self.store.list(&query).await;
        let took = start.elapsed();
        assert!(page.expect("a store").items.len() >= min_items);
        took
    }

    async fn sample(&mut self, operation: Operation, context: &CommandContext) -> Duration {
        let known = if operation.is_on_last_license() {
            self.licenses[self.licenses.len() - 1].clone()
        } else {
            self.random_license()
        };
        match operation {
            Operation::Read | Operation::ReadLast => self.read_by_key(&known).await,
            Operation::Activate | Operation::ActivateLast => self.activate(&known, context).await,
            Operation::ValidateCached => {
                let n = self.rng.random_range(0..IN_USE) * (self.licenses.len() / IN_USE);
                let known = self.licenses[n].clone();
                self.validate(|filled| &filled.cached, &known).await
            }
            Operation::ValidateLast => self.validate(|filled| &filled.cached, &known).await,
            Operation::Validate => self.validate(|filled| &filled.uncached, &known).await,
            Operation::First => self.page(&LicenseFilter::default(), 25).await,
            Operation::Plan => {
                let plan = ["starter", "professional", "enterprise"][self.rng.random_range(0..3)];
                self.page(&LicenseFilter { plan: Some(plan.to_owned()), ..LicenseFilter::default() }, 25)
                    .await
            }
            Operation::Customer => {
                let customer_email = Some(customer(self.rng.random_range(0..self.licenses.len())));
                self.page(&LicenseFilter { customer_email, ..LicenseFilter::default() }, 10).await
            }
        }
    }
}

/// A measured operation.
#[derive(Clone, Copy)]
enum Operation {
    Read,
    Activate,
    First,
    Plan,
    Customer,
    ValidateCached,
    Validate,
    ReadLast,
    ValidateLast,
    ActivateLast,
}

impl Operation {
    fn is_on_last_license(self) -> bool {
        matches!(self, Self::ReadLast | Self::ValidateLast | Self::ActivateLast)
    }

    /// Returns the number of samples.
    fn samples(self) -> usize {
        if matches!(self, Self::Read | Self::ReadLast) { READS } else { SAMPLES }
    }

    /// Returns the number of rounds.
    fn rounds(self) -> usize {
        if matches!(self, Self::Read | Self::ReadLast | Self::Activate | Self::ActivateLast) {
            ROUNDS
        } else {
            1
        }
    }
}

/// Returns the median of each database.
async fn medians(
    filled: &mut [FilledDatabase],
    operation: Operation,
    context: &CommandContext,
) -> Vec<Duration> {
    let count = operation.samples();
    let mut samples = vec![Vec::with_capacity(count); filled.len()];
    for filled in &mut *filled {
        for _ in 0..count / 10 {
            filled.sample(operation, context).await;
        }
    }
    for _ in 0..count / CONSECUTIVE {
        for (filled, samples) in filled.iter_mut().zip(&mut samples) {
            // Warms the CPU caches, which the other databases have used.
            for _ in 0..CONSECUTIVE / 10 {
                filled.sample(operation, context).await;
            }
            for _ in 0..CONSECUTIVE {
                samples.push(filled.sample(operation, context).await);
            }
        }
    }
    samples
        .into_iter()
        .map(|mut samples| {
            samples.sort_unstable();
            samples[samples.len() / 2]
        })
        .collect()
}

/// Prints the median over the rounds for each database, and the ratio to the first database of the same
/// round.
async fn row(name: &str, filled: &mut [FilledDatabase], operation: Operation, context: &CommandContext) {
    let (mut micros, mut ratios) = (vec![Vec::new(); filled.len()], vec![Vec::new(); filled.len()]);
    for _ in 0..operation.rounds() {
        let medians = medians(filled, operation, context).await;
        let first = medians[0].as_secs_f64();
        for (n, median) in medians.iter().enumerate() {
            micros[n].push(median.as_secs_f64() * 1e6);
            ratios[n].push(median.as_secs_f64() / first);
        }
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        values[values.len() / 2]
    };
    print!("| {name} | {:.0} µs |", median(&mut micros[0]));
    for (micros, ratios) in micros.iter_mut().zip(&mut ratios).skip(1) {
        print!(" {:.0} µs, {:.2}x", median(micros), median(ratios));
        if let [min, .., max] = ratios[..] {
            print!(" ({min:.2}–{max:.2})");
        }
        print!(" |");
    }
    println!();
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
async fn run(engine: Engine, name: &str, sizes: &[usize]) {
    let context = CommandContext {
        plans: Arc::new(PlanCatalog::standard()),
        now: SystemClock.now(),
        expected_version: None,
        expected_key: None,
        by: None,
        idempotency: None,
        reason: None,
        job: None,
        trials: TrialKey::from_bytes([7; 32]).into(),
    };
    let mut filled = Vec::new();
    for &size in sizes {
        let Some(one) = FilledDatabase::new(engine, &[(size, 3)]).await else { return };
        filled.push(one);
    }
    let heads = |heads: &[String]| {
        println!("\n| {name} | {} |\n|---|{}", heads.join(" | "), "---|".repeat(heads.len()));
    };
    heads(&sizes.iter().map(|size| format!("{}k licenses", size / 1_000)).collect::<Vec<_>>());
    print!("| load |");
    for (filled, &size) in filled.iter().zip(sizes) {
        print!(
            " {:.1} s, {:.0} µs each |",
            filled.load.as_secs_f64(),
            filled.load.as_secs_f64() * 1e6 / size as f64
        );
    }
    print!("\n| size on disk |");
    for (filled, &size) in filled.iter().zip(sizes) {
        print!(" {:.1} MB, {:.0} bytes each |", filled.size as f64 / 1e6, filled.size as f64 / size as f64);
    }
    println!();
    filled.iter().for_each(FilledDatabase::warm);
    for (name, operation) in [
        ("read by key", Operation::Read),
        ("activate a device", Operation::Activate),
        ("validate, cached", Operation::ValidateCached),
        ("validate, not cached", Operation::Validate),
        ("list, first page", Operation::First),
        ("list, of a plan", Operation::Plan),
        ("list, of a customer", Operation::Customer),
    ] {
        row(name, &mut filled, operation, &context).await;
    }
    drop(filled);

    let mut filled = Vec::new();
    for domains in [3, MANY] {
        filled.extend(FilledDatabase::new(engine, &[(1_000, 3), (1, domains)]).await);
    }
    heads(&["one license with 3 activations".to_owned(), format!("with {}k", MANY / 1_000)]);
    row("read by key", &mut filled, Operation::ReadLast, &context).await;
    row("validate, cached", &mut filled, Operation::ValidateLast, &context).await;
    row("activate a device", &mut filled, Operation::ActivateLast, &context).await;
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let sizes: &[usize] = if quick { &[1_000, 10_000] } else { &[1_000, 100_000, 1_000_000] };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        println!(
            "median of {SAMPLES} samples ({READS} of reads by key), and its ratio to the first column; for reads and \
            activations the median of {ROUNDS} rounds, and the range of the ratios"
        );
        if fill::is_selected("sqlite") {
            run(Engine::Sqlite, "SQLite", sizes).await;
        }
        if fill::is_selected("postgres") {
            run(Engine::Postgres, "PostgreSQL", sizes).await;
        }
    });
}

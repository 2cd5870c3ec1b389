//! What a thousand, a hundred thousand and a million licenses cost, as a table in Markdown.
//!
//! `benches/scale` starts a PostgreSQL and runs it; `--quick` tries it with 1k and 10k, `--only sqlite` with one database.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

#[path = "fill.rs"]
mod fill;

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use license_core::activation::ActivationId;
use license_core::clock::{Clock, SystemClock, SystemRng};
use license_core::command::{Command, CommandContext, Outcome};
use license_core::key::Secret;
use license_core::plan::PlanCatalog;
use license_core::service::{LicenseService, ValidateRequest};
use license_core::store::{LicenseFilter, LicenseStore, PageRequest};
use license_core::verdict::Claim;
use license_store::cache::{Cache, CacheOptions};
use license_store::group_commit::{GroupCommit, GroupCommitOptions};
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use license_store::sql::sqlite::SqliteStore;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tempfile::TempDir;
use test_database::TestDatabase;

use fill::{Known, Maker, Raw, SECRET, customer, device, now, store_data_keys};

/// Samples of each figure, after a tenth as many that are not counted.
const SAMPLES: usize = 2_000;
/// Samples of a read by its key, likewise. Of 2,000, which are over in a fifth of a second, the middle one was another in each run,
/// by a tenth and more.
const READS: usize = 20_000;
/// How often the figures that have a bar are taken: the middle ratio counts, since one lies a tenth beside the next, and more.
const ROUNDS: usize = 5;
/// Samples that one database gives before the next has its turn, so that all see the same weather.
const TURN: usize = 200;
/// Licenses that are validated from memory, and domains of the one big license: few enough that the samples which are not
/// counted bring them there.
const IN_USE: usize = 100;
/// Activations of the one big license.
const MANY: usize = 100_000;

/// A database of the bench, filled.
struct Filled {
    store: Arc<dyn LicenseStore>,
    /// As the server has it, with all that is asked for in memory; each validation is committed.
    remembered: LicenseService,
    /// The same without a memory.
    forgetful: LicenseService,
    licenses: Vec<Known>,
    load: Duration,
    size: i64,
    rng: ChaCha20Rng,
    claims: usize,
    keep: Keep,
}

/// Gone, with its data, when dropped.
enum Keep {
    Sqlite { folder: TempDir },
    Postgres { _database: Box<TestDatabase> },
}

#[derive(Clone, Copy)]
enum Engine {
    Sqlite,
    Postgres,
}

async fn service(store: Arc<dyn LicenseStore>) -> LicenseService {
    let secret = Secret::from_hex(SECRET).expect("hex digits");
    LicenseService::builder(store, &secret, SystemClock, SystemRng).build().await.expect("a service")
}

impl Filled {
    async fn new(engine: Engine, shape: &[(usize, usize)]) -> Option<Self> {
        let (store, mut raw, keep): (Arc<dyn LicenseStore>, _, _) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                let path = folder.path().join("licenses.db");
                let store = SqliteStore::open(&path).await.expect("a store");
                // Without a cache of its own size, the fill reads pages of its indexes again and again.
                let options = SqliteConnectOptions::new().filename(path).pragma("cache_size", "-1000000");
                let raw: SqliteConnection = options.connect().await.expect("a connection");
                (Arc::new(store), Raw::Sqlite(Box::new(raw)), Keep::Sqlite { folder })
            }
            Engine::Postgres => {
                let database = TestDatabase::new().await?;
                let store = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await;
                let raw = Raw::Postgres(Box::new(database.connect().await));
                (Arc::new(store.expect("a store")), raw, Keep::Postgres { _database: Box::new(database) })
            }
        };
        store_data_keys(&*store).await;
        let (mut maker, mut licenses, mut load) = (Maker::new(), Vec::new(), Duration::ZERO);
        for &(count, domains) in shape {
            let (known, took) = raw.fill(&mut maker, count, domains).await;
            licenses.extend(known);
            load += took;
        }
        let start = now();
        raw.settle().await;
        load += start.elapsed();
        let size = raw.size().await;
        let group = GroupCommitOptions::default();
        let grouped = GroupCommit::new(Arc::clone(&store), group, &mut SystemRng).expect("randomness");
        let remembered = Cache::new(grouped, CacheOptions::default());
        let rng = ChaCha20Rng::seed_from_u64(1);
        Some(Self {
            remembered: service(Arc::new(remembered)).await,
            forgetful: service(Arc::clone(&store)).await,
            store,
            licenses,
            load,
            size,
            rng,
            claims: 0,
            keep,
        })
    }

    /// Brings the file into the system's memory, as that of a server which has run for a while: the system gives up parts of a large
    /// one while the next is filled, and then the disk would be measured. PostgreSQL has just read all of its own (`VACUUM`).
    fn warm(&self) {
        if let Keep::Sqlite { folder } = &self.keep {
            let mut file = File::open(folder.path().join("licenses.db")).expect("the file");
            io::copy(&mut file, &mut io::sink()).expect("it is read");
        }
    }

    fn any(&mut self) -> Known {
        let n = self.rng.random_range(0..self.licenses.len());
        self.licenses[n].clone()
    }

    async fn read_by_key(&mut self, known: &Known) -> Duration {
        let domain = known.domain(self.rng.random_range(0..known.domains));
        let claim = Claim { domain: Some(domain), fingerprint: None };
        let start = now();
        let standing = self.store.license_by_key(&known.digest, &claim, SystemClock.now()).await;
        let took = start.elapsed();
        assert!(standing.expect("a store").expect("a license").held(&claim).domain);
        took
    }

    /// Claims a new device. Afterwards frees the slot again: a license of few would have more each time.
    async fn claim(&mut self, known: &Known, context: &CommandContext) -> Duration {
        self.claims += 1;
        let claim = Claim { domain: None, fingerprint: Some(device(self.claims)) };
        let start = now();
        let outcome = self.store.execute(&known.id, &Command::Activate(claim), context).await;
        let took = start.elapsed();
        let Outcome::Done(license) = outcome.expect("a store") else { panic!("no slot") };
        let suffix = known.id.as_str().trim_start_matches("lic_");
        let id = ActivationId::parse(&format!("act_{suffix}_{:010}", license.last_event)).expect("an id");
        let released = self.store.execute(&known.id, &Command::Release(id), context).await;
        assert!(matches!(released, Ok(Outcome::Done(_))), "{released:?}");
        took
    }

    async fn validate(&mut self, service: impl Fn(&Self) -> &LicenseService, known: &Known) -> Duration {
        let domain = known.domain(self.rng.random_range(0..known.domains.min(IN_USE)));
        let request =
            ValidateRequest { key: known.key.reveal(), domain: Some(domain.as_str()), ..Default::default() };
        let start = now();
        let verdict = service(self).validate(&request).await;
        let took = start.elapsed();
        assert!(verdict.expect("a verdict").is_valid());
        took
    }

    async fn page(&self, filter: &LicenseFilter, least: usize) -> Duration {
        let moment = SystemClock.now();
        let start = now();
        let page = self.store.licenses(filter, moment, &PageRequest::default()).await;
        let took = start.elapsed();
        assert!(page.expect("a store").items.len() >= least);
        took
    }

    async fn sample(&mut self, what: What, context: &CommandContext) -> Duration {
        let known = self.any();
        match what {
            What::Read => self.read_by_key(&known).await,
            What::Claim => self.claim(&known, context).await,
            What::ValidateRemembered => {
                let n = self.rng.random_range(0..IN_USE) * (self.licenses.len() / IN_USE);
                let known = self.licenses[n].clone();
                self.validate(|filled| &filled.remembered, &known).await
            }
            What::Validate => self.validate(|filled| &filled.forgetful, &known).await,
            What::First => self.page(&LicenseFilter::default(), 25).await,
            What::Plan => {
                let plan = ["starter", "professional", "enterprise"][self.rng.random_range(0..3)];
                self.page(&LicenseFilter { plan: Some(plan.to_owned()), ..LicenseFilter::default() }, 25)
                    .await
            }
            What::Customer => {
                let customer_email = Some(customer(self.rng.random_range(0..self.licenses.len())));
                self.page(&LicenseFilter { customer_email, ..LicenseFilter::default() }, 10).await
            }
            What::ReadLast => {
                let known = self.licenses[self.licenses.len() - 1].clone();
                self.read_by_key(&known).await
            }
            What::ValidateLast => {
                let known = self.licenses[self.licenses.len() - 1].clone();
                self.validate(|filled| &filled.remembered, &known).await
            }
            What::ClaimLast => {
                let known = self.licenses[self.licenses.len() - 1].clone();
                self.claim(&known, context).await
            }
        }
    }
}

#[derive(Clone, Copy)]
enum What {
    Read,
    Claim,
    First,
    Plan,
    Customer,
    ValidateRemembered,
    Validate,
    /// Of the last license only.
    ReadLast,
    ValidateLast,
    ClaimLast,
}

impl What {
    /// How many samples it takes.
    fn samples(self) -> usize {
        if matches!(self, Self::Read | Self::ReadLast) { READS } else { SAMPLES }
    }

    /// How often it takes them.
    fn rounds(self) -> usize {
        if matches!(self, Self::Read | Self::ReadLast | Self::Claim | Self::ClaimLast) { ROUNDS } else { 1 }
    }
}

/// The middle one of each database's samples.
async fn medians(filled: &mut [Filled], what: What, context: &CommandContext) -> Vec<Duration> {
    let count = what.samples();
    let mut samples = vec![Vec::with_capacity(count); filled.len()];
    for filled in &mut *filled {
        for _ in 0..count / 10 {
            filled.sample(what, context).await;
        }
    }
    for _ in 0..count / TURN {
        for (filled, samples) in filled.iter_mut().zip(&mut samples) {
            // What others left in the processor's caches is not its own fault.
            for _ in 0..TURN / 10 {
                filled.sample(what, context).await;
            }
            for _ in 0..TURN {
                samples.push(filled.sample(what, context).await);
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

/// Takes a figure of each database, and prints the middle of its rounds; ratios are each to the first database in the same round.
async fn row(name: &str, filled: &mut [Filled], what: What, context: &CommandContext) {
    let (mut micros, mut ratios) = (vec![Vec::new(); filled.len()], vec![Vec::new(); filled.len()]);
    for _ in 0..what.rounds() {
        let figures = medians(filled, what, context).await;
        let first = figures[0].as_secs_f64();
        for (n, figure) in figures.iter().enumerate() {
            micros[n].push(figure.as_secs_f64() * 1e6);
            ratios[n].push(figure.as_secs_f64() / first);
        }
    }
    let middle = |figures: &mut Vec<f64>| {
        figures.sort_unstable_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    print!("| {name} | {:.0} µs |", middle(&mut micros[0]));
    for (micros, ratios) in micros.iter_mut().zip(&mut ratios).skip(1) {
        print!(" {:.0} µs, {:.2}x", middle(micros), middle(ratios));
        if let [least, .., most] = ratios[..] {
            print!(" ({least:.2}–{most:.2})");
        }
        print!(" |");
    }
    println!();
}

#[expect(clippy::cast_precision_loss, reason = "megabytes, to be read by people")]
async fn run(engine: Engine, name: &str, sizes: &[usize]) {
    let context = CommandContext {
        plans: Arc::new(PlanCatalog::standard()),
        now: SystemClock.now(),
        expected_version: None,
        by: None,
    };
    let mut filled = Vec::new();
    for &size in sizes {
        let Some(one) = Filled::new(engine, &[(size, 3)]).await else { return };
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
    filled.iter().for_each(Filled::warm);
    for (name, what) in [
        ("read by key", What::Read),
        ("claim a device", What::Claim),
        ("validate, in memory", What::ValidateRemembered),
        ("validate, not in memory", What::Validate),
        ("list, first page", What::First),
        ("list, of a plan", What::Plan),
        ("list, of a customer", What::Customer),
    ] {
        row(name, &mut filled, what, &context).await;
    }
    drop(filled);

    let mut filled = Vec::new();
    for domains in [3, MANY] {
        filled.extend(Filled::new(engine, &[(1_000, 3), (1, domains)]).await);
    }
    heads(&["one license with 3 activations".to_owned(), format!("with {}k", MANY / 1_000)]);
    row("read by key", &mut filled, What::ReadLast, &context).await;
    row("validate, in memory", &mut filled, What::ValidateLast, &context).await;
    row("claim a device", &mut filled, What::ClaimLast, &context).await;
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let sizes: &[usize] = if quick { &[1_000, 10_000] } else { &[1_000, 100_000, 1_000_000] };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        println!(
            "{SAMPLES} samples of each figure, {READS} of reads by key; the middle one, and its ratio to the first column; \
            of reads and claims the middle of {ROUNDS} such rounds, and the range of their ratios"
        );
        if fill::wanted("sqlite") {
            run(Engine::Sqlite, "SQLite", sizes).await;
        }
        if fill::wanted("postgres") {
            run(Engine::Postgres, "PostgreSQL", sizes).await;
        }
    });
}

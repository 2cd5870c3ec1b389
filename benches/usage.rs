//! Measures usage reports in a small database and in one with a thousand times as many validations. Prints
//! a Markdown table.
//!
//! Run it with `benches/usage`, which starts a PostgreSQL. `--quick` uses 300k validations of 300 licenses;
//! `--only sqlite` or `--only postgres` selects a store. Each license has a thousand validations over 30
//! days in every database, so only the surrounding data grows. SQL inserts the rows in order of time.

#![expect(clippy::print_stdout, reason = "the bench prints a table")]

#[path = "fill.rs"]
#[expect(dead_code, reason = "other benches use more of it")]
mod fill;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use license_core::clock::{Clock, SystemClock};
use license_core::store::FullStore;
use license_core::usage::{Day, Interval, UsageGroup, UsageQuery};
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use license_store::sql::sqlite::SqliteStore;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use tempfile::TempDir;
use test_database::TestDatabase;

use fill::{IssuedLicense, LicenseGenerator, RawConnection, is_selected, now};

/// Validations per license.
const EACH: usize = 1_000;
const DAYS: i64 = 30;
/// Samples of a license's report, after a warm-up of a tenth as many, and of the overview.
const SAMPLES: usize = 1_000;
const OVERVIEWS: usize = 5;
/// Consecutive samples of one database.
const CONSECUTIVE: usize = 50;
/// Validations per statement.
const CHUNK: usize = 500_000;

const ROLL_UP: &str = "INSERT INTO rollups (day, license_id, outcome, domain, device, country, count, first_at, last_at) \
    SELECT at / 86400000000, license_id, outcome, COALESCE(domain, ''), COALESCE(device, ''), COALESCE(country, ''), \
    COUNT(*), MIN(at), MAX(at) FROM validations GROUP BY 1, 2, 3, 4, 5, 6";
const COUNT: &str = "INSERT INTO license_counters (license_id, validation_count, last_validated_at, last_validated_day) \
    SELECT license_id, COUNT(*), MAX(at), MAX(at) / 86400000000 FROM validations WHERE outcome = 'VALID' GROUP BY license_id";

/// A filled database.
struct FilledDatabase {
    store: Arc<dyn FullStore>,
    licenses: Vec<IssuedLicense>,
    size: i64,
    load: Duration,
    rollups: i64,
    rng: ChaCha20Rng,
    _storage: (Option<TempDir>, Option<Box<TestDatabase>>),
}

#[derive(Clone, Copy)]
enum Engine {
    Sqlite,
    Postgres,
}

/// Returns midnight of the first reported day.
fn start() -> DateTime<Utc> {
    Day::from_number(Day::of(SystemClock.now()).number() - DAYS).start()
}

async fn number(raw: &mut RawConnection, text: &'static str) -> i64 {
    match raw {
        RawConnection::Sqlite(connection) => sqlx::query_scalar(text).fetch_one(&mut **connection).await,
        RawConnection::Postgres(connection) => sqlx::query_scalar(text).fetch_one(&mut **connection).await,
    }
    .expect("a number")
}

/// Returns a statement that inserts the validations `from..to`. They cycle through the licenses and are
/// spread over the period. Each license has three devices, one domain and one country; one validation in
/// twenty is denied.
fn insert_validations(engine: Engine, licenses: usize, from: usize, to: usize) -> String {
    let (first, step) =
        (start().timestamp_micros(), DAYS * Day::MICROS / i64::try_from(licenses * EACH).expect("small"));
    let numbers = match engine {
        Engine::Sqlite => format!(
            "WITH RECURSIVE numbers (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {to})"
        ),
        Engine::Postgres => format!("WITH numbers AS (SELECT generate_series({from}, {to} - 1) AS n)"),
    };
    format!(
        "{numbers} INSERT INTO validations (day, sequence, license_id, at, outcome, domain, device, country) \
         SELECT ({first} + CAST(numbers.n AS BIGINT) * {step}) / 86400000000, numbers.n + 1, known.id, \
         {first} + CAST(numbers.n AS BIGINT) * {step}, \
         CASE WHEN (numbers.n / {licenses}) % 20 = 7 THEN 'DEVICE_LIMIT_REACHED' ELSE 'VALID' END, \
         'd0.s' || known.n || '.example.com', known.n || '-' || ((numbers.n / {licenses}) % 3), \
         CASE known.n % 3 WHEN 0 THEN 'DE' WHEN 1 THEN 'US' ELSE 'FR' END \
         FROM numbers JOIN known ON known.n = numbers.n % {licenses}"
    )
}

impl FilledDatabase {
    async fn new(engine: Engine, licenses: usize) -> Option<Self> {
        let (store, mut raw, storage): (Arc<dyn FullStore>, _, _) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                let path = folder.path().join("licenses.db");
                let store = Arc::new(SqliteStore::open(&path).await.expect("a store"));
                (store, RawConnection::sqlite(&path).await, (Some(folder), None))
            }
            Engine::Postgres => {
                let database = TestDatabase::new().await?;
                let long = Duration::from_mins(10);
                let options = PostgresOptions { statement_timeout: long, ..PostgresOptions::default() };
                let store = PostgresStore::connect(&database.url(), &options).await.expect("a store");
                let raw = RawConnection::postgres(&database).await;
                (Arc::new(store), raw, (None, Some(Box::new(database))))
            }
        };
        let (known, _) = raw.fill(&mut LicenseGenerator::new(), licenses, 1).await;
        let begun = now();
        raw.execute("CREATE TEMP TABLE known (n INTEGER PRIMARY KEY, id TEXT)").await;
        for (part, chunk) in known.chunks(1_000).enumerate() {
            let rows: Vec<_> = chunk
                .iter()
                .enumerate()
                .map(|(n, known)| format!("({}, '{}')", part * 1_000 + n, known.id))
                .collect();
            raw.execute(&format!("INSERT INTO known VALUES {}", rows.join(", "))).await;
        }
        let all = licenses * EACH;
        for from in (0..all).step_by(CHUNK) {
            raw.execute(&insert_validations(engine, licenses, from, (from + CHUNK).min(all))).await;
        }
        raw.execute(ROLL_UP).await;
        raw.execute(COUNT).await;
        raw.settle().await;
        let load = begun.elapsed();
        let (size, rollups) = (raw.size().await, number(&mut raw, "SELECT COUNT(*) FROM rollups").await);
        let rng = ChaCha20Rng::seed_from_u64(1);
        Some(Self { store, licenses: known, size, load, rollups, rng, _storage: storage })
    }

    async fn report(&mut self, query: &UsageQuery) -> Duration {
        let known = &self.licenses[self.rng.random_range(0..self.licenses.len())];
        let begun = now();
        let report = self.store.report(&known.id, query).await.expect("usage");
        let took = begun.elapsed();
        assert_eq!(report.total() + report.denied(), EACH as u64, "all of {}", known.id);
        assert_eq!(report.series.len(), usize::try_from(DAYS).expect("small"));
        took
    }

    async fn overview(&mut self, query: &UsageQuery) -> Duration {
        let begun = now();
        let overview = self.store.overview(query).await.expect("an overview");
        let took = begun.elapsed();
        assert_eq!(overview.active_licenses, self.licenses.len() as u64);
        assert_eq!(overview.usage.total() + overview.usage.denied(), (self.licenses.len() * EACH) as u64);
        took
    }
}

fn median(mut samples: Vec<Duration>) -> f64 {
    samples.sort_unstable();
    samples[samples.len() / 2].as_secs_f64() * 1e3
}

async fn measure(name: &str, engine: Engine, sizes: [usize; 2]) {
    let mut databases = Vec::new();
    for licenses in sizes {
        let Some(filled) = FilledDatabase::new(engine, licenses).await else { return };
        databases.push((filled, Vec::new()));
    }
    let (from, to) = (Some(start()), Some(start() + TimeDelta::days(DAYS)));
    let (interval, group_by) = (Some(Interval::Day), Some(UsageGroup::Domain));
    let query = UsageQuery { from, to, interval, group_by, ..UsageQuery::default() };
    for turn in 0..(SAMPLES + SAMPLES / 10) / CONSECUTIVE {
        for (filled, samples) in &mut databases {
            for _ in 0..CONSECUTIVE {
                let took = filled.report(&query).await;
                if turn >= SAMPLES / 10 / CONSECUTIVE {
                    samples.push(took);
                }
            }
        }
    }
    let mut base = None;
    for (filled, samples) in &mut databases {
        let mut overviews = Vec::new();
        for _ in 0..OVERVIEWS {
            overviews.push(filled.overview(&query).await);
        }
        let report = median(std::mem::take(samples));
        let base = *base.get_or_insert(report);
        println!(
            "| {name} | {} | {} | {} | {} MB | {:.0} s | {report:.3} ms | {:.2}x | {:.0} ms |",
            filled.licenses.len() * EACH,
            filled.licenses.len(),
            filled.rollups,
            filled.size / 1_000_000,
            filled.load.as_secs_f64(),
            report / base,
            median(overviews)
        );
    }
    println!();
}

#[tokio::main]
async fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let sizes = if quick { [10, 300] } else { [10, 10_000] };
    println!(
        "| store | validations | licenses | rollups | size | fill | 30 days of one license | ratio | overview of 30 days |\n\
         |---|---|---|---|---|---|---|---|---|"
    );
    if is_selected("sqlite") {
        measure("SQLite", Engine::Sqlite, sizes).await;
    }
    if is_selected("postgres") {
        measure("PostgreSQL", Engine::Postgres, sizes).await;
    }
}

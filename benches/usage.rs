//! What reports of usage cost when there are a thousand times as many validations, as a table in Markdown.
//!
//! `benches/usage` starts a PostgreSQL and runs it; `--quick` tries it with 300k validations of 300 licenses, `--only sqlite` with one database. Each license has
//! a thousand validations over 30 days in every database, so that its report is the same and only what lies around it
//! grows. Rows come by SQL, made in the order of time.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

#[path = "fill.rs"]
#[expect(dead_code, reason = "other benches read more of it")]
mod fill;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use license_core::clock::{Clock, SystemClock};
use license_core::store::LicenseStore;
use license_core::usage::{Day, Interval, UsageGroup, UsageQuery};
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use license_store::sql::sqlite::SqliteStore;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};
use tempfile::TempDir;
use test_database::TestDatabase;

use fill::{Known, Maker, Raw, now};

/// Validations of each license.
const EACH: usize = 1_000;
const DAYS: i64 = 30;
/// Samples of a license's report, after a tenth as many that are not counted, and of the overview.
const SAMPLES: usize = 1_000;
const OVERVIEWS: usize = 5;
/// Samples that one database gives before the next has its turn.
const TURN: usize = 50;
/// Validations that one statement makes.
const CHUNK: usize = 500_000;

const ROLL_UP: &str = "INSERT INTO rollups (day, license_id, outcome, domain, device, country, count, first_at, last_at) \
    SELECT at / 86400000000, license_id, outcome, COALESCE(domain, ''), COALESCE(device, ''), COALESCE(country, ''), \
    COUNT(*), MIN(at), MAX(at) FROM validations GROUP BY 1, 2, 3, 4, 5, 6";
const COUNT: &str = "INSERT INTO license_counters (license_id, validation_count, last_validated_at) \
    SELECT license_id, COUNT(*), MAX(at) FROM validations WHERE outcome = 'VALID' GROUP BY license_id";

/// One database, filled.
struct Filled {
    store: Arc<dyn LicenseStore>,
    licenses: Vec<Known>,
    size: i64,
    load: Duration,
    rollups: i64,
    rng: ChaCha20Rng,
    _keep: (Option<TempDir>, Option<Box<TestDatabase>>),
}

#[derive(Clone, Copy)]
enum Engine {
    Sqlite,
    Postgres,
}

/// Midnight of the first day that is reported.
fn start() -> DateTime<Utc> {
    Day::from_number(Day::of(SystemClock.now()).number() - DAYS).start()
}

async fn run(raw: &mut Raw, text: String) {
    match raw {
        Raw::Sqlite(connection) => {
            sqlx::query(AssertSqlSafe(text)).execute(&mut **connection).await.map(drop)
        }
        Raw::Postgres(connection) => {
            sqlx::query(AssertSqlSafe(text)).execute(&mut **connection).await.map(drop)
        }
    }
    .expect("it runs");
}

async fn number(raw: &mut Raw, text: &'static str) -> i64 {
    match raw {
        Raw::Sqlite(connection) => sqlx::query_scalar(text).fetch_one(&mut **connection).await,
        Raw::Postgres(connection) => sqlx::query_scalar(text).fetch_one(&mut **connection).await,
    }
    .expect("a number")
}

/// Validations `from` to `to` of so many: of each license in turn, spread over the time; three devices, one domain and one country
/// of each license, and of twenty one is denied.
fn made(engine: Engine, licenses: usize, from: usize, to: usize) -> String {
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

impl Filled {
    async fn new(engine: Engine, licenses: usize) -> Option<Self> {
        let (store, mut raw, keep): (Arc<dyn LicenseStore>, _, _) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                let path = folder.path().join("licenses.db");
                let store = Arc::new(SqliteStore::open(&path).await.expect("a store"));
                let options = SqliteConnectOptions::new().filename(path).pragma("cache_size", "-1000000");
                let raw = Raw::Sqlite(Box::new(options.connect().await.expect("a connection")));
                (store, raw, (Some(folder), None))
            }
            Engine::Postgres => {
                let database = TestDatabase::new().await?;
                let long = Duration::from_mins(10);
                let options = PostgresOptions { statement_timeout: long, ..PostgresOptions::default() };
                let store = PostgresStore::connect(&database.url(), &options).await.expect("a store");
                let raw = Raw::Postgres(Box::new(database.connect().await));
                (Arc::new(store), raw, (None, Some(Box::new(database))))
            }
        };
        let (known, _) = raw.fill(&mut Maker::new(), licenses, 1).await;
        let begun = now();
        run(&mut raw, "CREATE TEMP TABLE known (n INTEGER PRIMARY KEY, id TEXT)".to_owned()).await;
        for (part, chunk) in known.chunks(1_000).enumerate() {
            let rows: Vec<_> = chunk
                .iter()
                .enumerate()
                .map(|(n, known)| format!("({}, '{}')", part * 1_000 + n, known.id))
                .collect();
            run(&mut raw, format!("INSERT INTO known VALUES {}", rows.join(", "))).await;
        }
        let all = licenses * EACH;
        for from in (0..all).step_by(CHUNK) {
            run(&mut raw, made(engine, licenses, from, (from + CHUNK).min(all))).await;
        }
        run(&mut raw, ROLL_UP.to_owned()).await;
        run(&mut raw, COUNT.to_owned()).await;
        raw.settle().await;
        let load = begun.elapsed();
        let (size, rollups) = (raw.size().await, number(&mut raw, "SELECT COUNT(*) FROM rollups").await);
        let rng = ChaCha20Rng::seed_from_u64(1);
        Some(Self { store, licenses: known, size, load, rollups, rng, _keep: keep })
    }

    async fn report(&mut self, query: &UsageQuery) -> Duration {
        let known = &self.licenses[self.rng.random_range(0..self.licenses.len())];
        let begun = now();
        let report = self.store.usage(&known.id, query).await.expect("usage");
        let took = begun.elapsed();
        assert_eq!(report.total() + report.denied(), EACH as u64, "all of {}", known.id);
        assert_eq!(report.series.len(), usize::try_from(DAYS).expect("small"));
        took
    }

    async fn overview(&mut self, query: &UsageQuery) -> Duration {
        let begun = now();
        let overview = self.store.usage_of_all(query).await.expect("an overview");
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
        let Some(filled) = Filled::new(engine, licenses).await else { return };
        databases.push((filled, Vec::new()));
    }
    let (from, to) = (Some(start()), Some(start() + TimeDelta::days(DAYS)));
    let (interval, group_by) = (Some(Interval::Day), Some(UsageGroup::Domain));
    let query = UsageQuery { from, to, interval, group_by, ..UsageQuery::default() };
    for turn in 0..(SAMPLES + SAMPLES / 10) / TURN {
        for (filled, samples) in &mut databases {
            for _ in 0..TURN {
                let took = filled.report(&query).await;
                if turn >= SAMPLES / 10 / TURN {
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
    if fill::wanted("sqlite") {
        measure("SQLite", Engine::Sqlite, sizes).await;
    }
    if fill::wanted("postgres") {
        measure("PostgreSQL", Engine::Postgres, sizes).await;
    }
}

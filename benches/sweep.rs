//! 100,000 licenses whose terms end in the same minute, while others are validated: how long the sweep takes, and what it does
//! to the answers, as a table in Markdown.
//!
//! `benches/sweep` starts a PostgreSQL and runs it; `--quick` tries it with 5,000, `--only sqlite` or `--only postgres` is one store.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

#[path = "fill.rs"]
#[expect(dead_code, reason = "other benches read more of it")]
mod fill;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use license_core::clock::{Clock, SystemClock, SystemRng};
use license_core::key::Secret;
use license_core::outbox::{Outbox, Sweep};
use license_core::service::{LicenseService, ValidateRequest};
use license_core::store::LicenseStore;
use license_core::verdict::Verdict;
use license_store::cache::{Cache, CacheOptions};
use license_store::group_commit::{GroupCommit, GroupCommitOptions};
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use license_store::sql::sqlite::SqliteStore;
use license_store::sweeper::{Sweeper, SweeperOptions};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};
use test_database::TestDatabase;

use fill::{Known, Maker, Raw, SECRET, now, store_data_keys};

/// Licenses that are validated meanwhile, by so many callers, each of whom pauses after an answer: what is measured is how long
/// one waits, not how many can wait.
const VALIDATED: usize = 1_000;
const CALLERS: usize = 8;
const THINKS: Duration = Duration::from_millis(5);
/// How long is measured without a sweep: several passes of the compactor, as during the sweep.
const BEFORE: Duration = Duration::from_secs(40);

/// Validates until it is told to stop; how long each answer took.
async fn load(service: Arc<LicenseService>, known: Arc<Vec<Known>>, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let callers = (0..CALLERS).map(|caller| {
        let (service, known, stop) = (Arc::clone(&service), Arc::clone(&known), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut took = Vec::new();
            for n in (caller..).step_by(CALLERS) {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let known = &known[n % known.len()];
                let domain = known.domain(0);
                let request = ValidateRequest {
                    key: known.key.reveal(),
                    domain: Some(domain.as_str()),
                    ..ValidateRequest::default()
                };
                let start = now();
                let verdict = service.validate(&request).await.expect("a verdict");
                took.push(start.elapsed());
                assert!(matches!(verdict, Verdict::Valid(_)), "{verdict:?}");
                tokio::time::sleep(THINKS).await;
            }
            took
        })
    });
    let mut all = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        all.extend(caller.await.expect("a caller does not panic"));
    }
    all.sort_unstable();
    all
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() * 99 / 100]
}

async fn measure<S: LicenseStore + Outbox>(name: &str, store: Arc<S>, mut raw: Raw, ending: usize) {
    store_data_keys(&*store).await;
    let mut maker = Maker::new();
    let (validated, _) = raw.fill(&mut maker, VALIDATED, 1).await;
    let (_, _) = raw.fill(&mut maker, ending, 1).await;
    let last = validated.last().expect("licenses").id.as_str();
    let ends = format!(
        "UPDATE licenses SET expires_at = {} WHERE id > '{last}'",
        SystemClock.now().timestamp_micros()
    );
    match &mut raw {
        Raw::Sqlite(connection) => {
            sqlx::query(AssertSqlSafe(ends)).execute(&mut **connection).await.map(drop)
        }
        Raw::Postgres(connection) => {
            sqlx::query(AssertSqlSafe(ends)).execute(&mut **connection).await.map(drop)
        }
    }
    .expect("rows");
    // They were made a month ago, and told of then.
    while store.publish(SystemClock.now(), 1_000).await.expect("published") > 0 {}
    raw.settle().await;
    // Caches of one process are one in SQLite, and its is large.
    drop(raw);
    let grouped = GroupCommit::new(Arc::clone(&store), GroupCommitOptions::default(), &mut SystemRng);
    let front = Cache::new(grouped.expect("randomness"), CacheOptions::default());
    let secret = Secret::from_hex(SECRET).expect("hex digits");
    let builder = LicenseService::builder(Arc::new(front), &secret, SystemClock, SystemRng);
    let service = Arc::new(builder.outbox(Arc::clone(&store) as _).build().await.expect("a service"));

    let validated = Arc::new(validated);
    let stop = Arc::new(AtomicBool::new(false));
    let running = tokio::spawn(load(Arc::clone(&service), Arc::clone(&validated), Arc::clone(&stop)));
    tokio::time::sleep(BEFORE).await;
    stop.store(true, Ordering::Relaxed);
    let quiet = running.await.expect("the load does not panic");

    let stop = Arc::new(AtomicBool::new(false));
    let running = tokio::spawn(load(Arc::clone(&service), validated, Arc::clone(&stop)));
    let (start, before) = (now(), store.last_position().await.expect("a position"));
    let sweeper = Sweeper::spawn(Arc::clone(&service), SweeperOptions::default());
    let moment = SystemClock.now();
    let nothing = Sweep { now: moment, expiring_until: moment, limit: 1 };
    let mut left = u64::try_from(ending).expect("few");
    let mut position = before;
    while left > 0 {
        // A subscriber, who gives the events their places.
        let events = service.events_after(position, 1_000).await.expect("events");
        position = events.last().map_or(position, |last| last.position);
        let expired = events.iter().filter(|one| one.event.event_type.as_str() == "license.expired").count();
        left -= expired as u64;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let swept = start.elapsed();
    drop(sweeper);
    stop.store(true, Ordering::Relaxed);
    let meanwhile = running.await.expect("the load does not panic");
    assert_eq!(store.sweep(&nothing).await.expect("a sweep"), 0, "all are told of");
    println!(
        "| {name} | {ending} | {:.1} s | {:.2} ms | {:.2} ms | {:.2}x |",
        swept.as_secs_f64(),
        p99(&quiet).as_secs_f64() * 1e3,
        p99(&meanwhile).as_secs_f64() * 1e3,
        p99(&meanwhile).as_secs_f64() / p99(&quiet).as_secs_f64()
    );
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let only =
        arguments.iter().position(|argument| argument == "--only").and_then(|at| arguments.get(at + 1));
    let asked = |name: &str| only.is_none_or(|only| only == name);
    let ending = if quick { 5_000 } else { 100_000 };
    println!(
        "| store | ends | told and published | p99 before | p99 meanwhile | ratio |\n|---|---|---|---|---|---|"
    );
    if asked("sqlite") {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("licenses.db");
        let store = SqliteStore::open(&path).await.expect("a store");
        let options = SqliteConnectOptions::new().filename(&path).pragma("cache_size", "-1000000");
        let raw = Raw::Sqlite(Box::new(options.connect().await.expect("a connection")));
        measure("SQLite", Arc::new(store), raw, ending).await;
    }
    if !asked("postgres") {
        return;
    }
    let Some(database) = TestDatabase::new().await else { return };
    let store = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.expect("a store");
    let raw = Raw::Postgres(Box::new(database.connect().await));
    measure("PostgreSQL", Arc::new(store), raw, ending).await;
}

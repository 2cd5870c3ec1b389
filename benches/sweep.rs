//! Measures the sweep of 100,000 licenses that expire in the same minute, and the latency of validations
//! meanwhile. Prints a Markdown table.
//!
//! Run it with `benches/sweep`, which starts a PostgreSQL. `--quick` uses 5,000 licenses; `--only sqlite`
//! or `--only postgres` selects a store.

#![expect(clippy::print_stdout, reason = "the bench prints a table")]

#[path = "fill.rs"]
#[expect(dead_code, reason = "other benches use more of it")]
mod fill;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use license_core::clock::{Clock, SystemClock};
use license_core::key::Secret;
use license_core::service::{ValidateRequest, ValidationService};
use license_core::store::{ExpiryScan, FullStore};
use license_core::validation::Verdict;
use license_store::engine::{Engine, JobOptions};
use license_store::jobs::ExpiryJob;
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use license_store::sql::sqlite::SqliteStore;
use test_database::TestDatabase;

use fill::{IssuedLicense, LicenseGenerator, RawConnection, SECRET, is_selected, now, store_data_keys};

/// Licenses that are validated meanwhile, and the callers. Callers pause after each answer, because the
/// bench measures latency, not throughput.
const VALIDATED: usize = 1_000;
const CALLERS: usize = 8;
const CALLER_PAUSE: Duration = Duration::from_millis(5);
/// Duration of the load without a sweep. It covers several passes of the compactor.
const BEFORE: Duration = Duration::from_secs(40);

/// Validates until `stop` is set. Returns the latencies, sorted.
async fn load(
    service: Arc<ValidationService>,
    licenses: Arc<Vec<IssuedLicense>>,
    stop: Arc<AtomicBool>,
) -> Vec<Duration> {
    let callers = (0..CALLERS).map(|caller| {
        let (service, licenses, stop) = (Arc::clone(&service), Arc::clone(&licenses), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut took = Vec::new();
            for n in (caller..).step_by(CALLERS) {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let license = &licenses[n % licenses.len()];
                let domain = license.domain(0);
                let request = ValidateRequest {
                    key: license.key.reveal(),
                    domain: Some(domain.as_str()),
                    ..ValidateRequest::default()
                };
                let start = now();
                let verdict = service.validate(&request).await.expect("a verdict");
                took.push(start.elapsed());
                assert!(matches!(verdict, Verdict::Valid(_)), "{verdict:?}");
                tokio::time::sleep(CALLER_PAUSE).await;
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

async fn measure(name: &str, store: Arc<dyn FullStore>, mut raw: RawConnection, expiring: usize) {
    store_data_keys(&*store).await;
    let mut generator = LicenseGenerator::new();
    let (validated, _) = raw.fill(&mut generator, VALIDATED, 1).await;
    let (_, _) = raw.fill(&mut generator, expiring, 1).await;
    let last = validated.last().expect("licenses").id.as_str();
    let now_micros = SystemClock.now().timestamp_micros();
    raw.execute(&format!("UPDATE licenses SET expires_at = {now_micros} WHERE id > '{last}'")).await;
    // The events of the fill are a month old.
    while store.assign_positions(SystemClock.now(), 1_000).await.expect("positions") > 0 {}
    raw.settle().await;
    // SQLite connections of one process share their cache memory, and this one has a large cache.
    drop(raw);
    let secret = Secret::from_hex(SECRET).expect("hex digits");
    // The expiry job of the engine waits: the bench starts one of its own.
    let jobs = JobOptions { every: Duration::from_hours(24), ..JobOptions::default() };
    let engine = Engine::builder(Arc::clone(&store), &secret).jobs(jobs).start().await.expect("an engine");
    let service = Arc::clone(&engine.validation);

    let validated = Arc::new(validated);
    let stop = Arc::new(AtomicBool::new(false));
    let running = tokio::spawn(load(Arc::clone(&service), Arc::clone(&validated), Arc::clone(&stop)));
    tokio::time::sleep(BEFORE).await;
    stop.store(true, Ordering::Relaxed);
    let quiet = running.await.expect("the load does not panic");

    let stop = Arc::new(AtomicBool::new(false));
    let running = tokio::spawn(load(Arc::clone(&service), validated, Arc::clone(&stop)));
    let (start, before) = (now(), store.last_position().await.expect("a position"));
    let events = engine.services().events;
    let JobOptions { every, reminders, .. } = JobOptions::default();
    engine.spawn(ExpiryJob {
        clock: engine.clock.clone(),
        events: events.clone(),
        every,
        reminders: reminders.clone(),
    });
    let moment = SystemClock.now();
    let nothing = ExpiryScan { now: moment, reminders, limit: 1 };
    let mut left = u64::try_from(expiring).expect("small");
    let mut position = before;
    while left > 0 {
        // Reading events assigns their positions.
        let events = events.after(position, 1_000).await.expect("events");
        position = events.last().map_or(position, |last| last.position);
        let expired = events.iter().filter(|one| one.event.event_type.as_str() == "license.expired").count();
        left -= expired as u64;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let swept = start.elapsed();
    stop.store(true, Ordering::Relaxed);
    let meanwhile = running.await.expect("the load does not panic");
    assert_eq!(store.write_expiry_events(&nothing).await.expect("a sweep"), 0, "every expiry has its event");
    println!(
        "| {name} | {expiring} | {:.1} s | {:.2} ms | {:.2} ms | {:.2}x |",
        swept.as_secs_f64(),
        p99(&quiet).as_secs_f64() * 1e3,
        p99(&meanwhile).as_secs_f64() * 1e3,
        p99(&meanwhile).as_secs_f64() / p99(&quiet).as_secs_f64()
    );
}

#[tokio::main]
async fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let expiring = if quick { 5_000 } else { 100_000 };
    println!(
        "| store | expired licenses | until all events | p99 before | p99 meanwhile | ratio |\n|---|---|---|---|---|---|"
    );
    if is_selected("sqlite") {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("licenses.db");
        let store = SqliteStore::open(&path).await.expect("a store");
        measure("SQLite", Arc::new(store), RawConnection::sqlite(&path).await, expiring).await;
    }
    if !is_selected("postgres") {
        return;
    }
    let Some(database) = TestDatabase::new().await else { return };
    let store = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.expect("a store");
    measure("PostgreSQL", Arc::new(store), RawConnection::postgres(&database).await, expiring).await;
}

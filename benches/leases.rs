//! Measures leases: an issue beside a validation, the list of 100,000 revoked leases, and a rotation that
//! frees the slots of a license. Prints a Markdown table.
//!
//! Run it with `benches/leases`, which starts a PostgreSQL. `--quick` uses 5,000 leases and activations;
//! `--only sqlite` or `--only postgres` selects a store.

#![expect(clippy::print_stdout, reason = "the bench prints a table")]

#[path = "fill.rs"]
#[expect(dead_code, reason = "other benches use more of it")]
mod fill;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use license_core::LicenseSpec;
use license_core::catalog::{Plan, PlanCatalog};
use license_core::clock::{Clock, SystemClock};
use license_core::key::Secret;
use license_core::license::{CustomerEmail, LicenseId};
use license_core::service::{ImportOptions, LeaseAnswer, LeaseRequest, ValidateRequest};
use license_core::store::FullStore;
use license_store::engine::Engine;
use license_store::memory::MemoryStore;
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use license_store::sql::sqlite::SqliteStore;
use serde_json::{Value, json};
use test_database::TestDatabase;

use fill::{SECRET, is_selected, now};

/// Calls of each kind.
const CALLS: u32 = 500;
/// Activations of a small license.
const FEW: usize = 3;
/// Rotations of which the median is shown.
const ROTATIONS: usize = 5;
/// The product of the licenses.
const PRODUCT: &str = "default";

async fn engine(store: Arc<dyn FullStore>) -> Engine {
    let secret = Secret::from_hex(SECRET).expect("hex digits");
    let plans = PlanCatalog::new([Plan::new("offline").offline_days(7)]).expect("plans");
    Engine::builder(store, &secret).plans(plans).start().await.expect("an engine")
}

fn request<'a>(key: &'a str, device: &'a str) -> ValidateRequest<'a> {
    ValidateRequest { key, fingerprint: Some(device), ..ValidateRequest::default() }
}

async fn validate(engine: &Engine, key: &str, device: &str) {
    assert!(engine.validate(&request(key, device)).await.expect("a verdict").is_valid());
}

async fn lease(engine: &Engine, key: &str, device: &str) {
    let lease = LeaseRequest { validation: request(key, device), days: None };
    assert!(matches!(engine.leases.issue(&lease).await, Ok(LeaseAnswer::Lease(_))));
}

/// Measures calls in turns, so that they meet the same machine.
async fn calls(name: &str, store: Arc<dyn FullStore>) {
    let engine = engine(store).await;
    let spec = LicenseSpec::new("offline", CustomerEmail::parse("dev@example.com").expect("an address"));
    let issued = engine.licenses.issue(&spec, None).await.expect("a license");
    let key = issued.key.reveal();
    validate(&engine, key, "known").await;
    let mut took = [Duration::ZERO; 4];
    for n in 0..CALLS {
        let [online, offline] = ["online", "offline"].map(|kind| format!("{kind} {n}"));
        let start = now();
        validate(&engine, key, "known").await;
        took[0] += start.elapsed();
        let start = now();
        validate(&engine, key, &online).await;
        took[1] += start.elapsed();
        let start = now();
        lease(&engine, key, &offline).await;
        took[2] += start.elapsed();
        let start = now();
        lease(&engine, key, "known").await;
        took[3] += start.elapsed();
    }
    let kinds = ["validation, cached", "validation of a new device", "lease of a new device", "renewal"];
    for (kind, took) in kinds.into_iter().zip(took) {
        println!("| {name}: {kind} | {:.0} µs |", took.as_secs_f64() * 1e6 / f64::from(CALLS));
    }
    engine.shutdown().await;
}

/// Returns the line of a license.
fn license_line(id: &str) -> Value {
    json!({ "type": "license", "id": id, "plan": "offline", "customer_email": "dev@example.com" })
}

fn device_line(id: &str, number: usize, held_until: Option<DateTime<Utc>>) -> Value {
    json!({
        "type": "activation", "license": format!("lic_{id}"), "id": format!("act_{id}_{number:010}"),
        "kind": "device", "value": format!("device {number}"), "held_until": held_until,
    })
}

async fn import(engine: &Engine, lines: impl Iterator<Item = Value>) {
    let mut importer = engine.transfer.import(ImportOptions::default()).await.expect("an import");
    for (number, line) in (1..).zip(lines) {
        importer.line(number, line.to_string().as_bytes()).await.expect("the importer accepts lines");
    }
    let report = importer.finish().await.expect("the import finishes");
    assert_eq!(report.refused, 0, "{:?}", importer.take_faults());
}

/// Returns the lines of licenses with ten revoked leases each.
fn revoked_leases(count: usize, now: DateTime<Utc>) -> impl Iterator<Item = Value> {
    let end = DateTime::from_timestamp(now.timestamp(), 0).expect("a time") + TimeDelta::days(7);
    (0..count / 10).flat_map(move |license| {
        let id = format!("01jzabcdefghijkl{license:06}");
        let lease = {
            let id = id.clone();
            move |number: usize| {
                let jti = format!("lease_{id}_{number:010}");
                json!({
                    "type": "lease", "license": format!("lic_{id}"), "id": jti,
                    "device": format!("act_{id}_{number:010}"), "domain": null, "issued_at": now, "expires_at": end,
                    "signing_key": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "renewal": false,
                    "claims": json!({ "jti": jti, "exp": end.timestamp() }).to_string(),
                    "ended_by": "revoked", "ended_at": now,
                })
            }
        };
        std::iter::once(license_line(&format!("lic_{id}"))).chain((1..=10).map(lease))
    })
}

/// Measures the list of revoked leases.
async fn revocations(folder: &tempfile::TempDir, store: Arc<dyn FullStore>, count: usize) {
    let engine = engine(store).await;
    import(&engine, revoked_leases(count, SystemClock.now())).await;
    let mut took = Vec::new();
    let mut token = String::new();
    for _ in 0..ROTATIONS {
        let start = now();
        let list = engine.leases.revocations(PRODUCT).await.expect("a list");
        took.push(start.elapsed());
        assert_eq!(list.count, count);
        token = list.token;
    }
    let path = folder.path().join("revocations");
    std::fs::write(&path, &token).expect("a file");
    let gzipped = Command::new("gzip").arg("-c").arg(&path).output().expect("gzip").stdout.len();
    println!("| SQLite: list of {count} revoked leases | {:.0} ms |", median(took).as_secs_f64() * 1e3);
    println!("| its size, and gzipped | {} kB, {} kB |", token.len() / 1_000, gzipped / 1_000);
    engine.shutdown().await;
}

fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() / 2]
}

/// Measures rotations that free the slots of a license with few and with many devices.
async fn rotations(name: &str, store: Arc<dyn FullStore>, many: usize) {
    let engine = engine(store).await;
    for devices in [FEW, many] {
        let mut took = Vec::new();
        for round in 0..ROTATIONS {
            let id = format!("{devices}x{round}");
            let license = format!("lic_{id}");
            let lines = std::iter::once(license_line(&license));
            import(&engine, lines.chain((1..=devices).map(|n| device_line(&id, n, None)))).await;
            let license = LicenseId::parse(&license).expect("an id");
            let start = now();
            let rotated = engine.licenses.rotate_key(&license, true, None).await.expect("rotated");
            took.push(start.elapsed());
            assert_eq!(rotated.detail.license.devices_used, 0);
        }
        println!(
            "| {name}: rotation that frees {devices} devices | {:.1} ms |",
            median(took).as_secs_f64() * 1e3
        );
    }
    engine.shutdown().await;
}

#[tokio::main]
async fn main() {
    let many = if std::env::args().any(|argument| argument == "--quick") { 5_000 } else { 100_000 };
    println!("| what | measured |\n|---|---|");
    if is_selected("sqlite") {
        calls("memory", Arc::new(MemoryStore::new())).await;
        let folder = tempfile::tempdir().expect("a folder");
        let open = async |name: &str| SqliteStore::open(folder.path().join(name)).await.expect("a database");
        calls("SQLite", Arc::new(open("calls.db").await)).await;
        revocations(&folder, Arc::new(open("revocations.db").await), many).await;
        rotations("SQLite", Arc::new(open("rotations.db").await), many).await;
    }
    if !is_selected("postgres") {
        return;
    }
    let Some(database) = TestDatabase::new().await else { return };
    let connect = async || {
        let options = PostgresOptions::default();
        PostgresStore::connect(&database.url(), &options).await.expect("a store")
    };
    // Each engine closes its store.
    calls("PostgreSQL", Arc::new(connect().await)).await;
    rotations("PostgreSQL", Arc::new(connect().await), many).await;
}

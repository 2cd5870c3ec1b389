//! Failover of PostgreSQL: a synchronous standby becomes the primary under load.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use license_core::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use sqlx::{Executor, Row};
use tempfile::tempdir;
use test_database::TestServer;
use ureq::Agent;

use crate::process::{Server, TOKEN, agent, call};

const DEVICES: usize = 40;

/// The calls of one caller that were acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// Devices of the full license that got a slot.
    devices: BTreeSet<String>,
    /// Valid answers for the license without limits.
    validations: u64,
    /// Ids of issued licenses.
    issued: Vec<String>,
}

/// Takes slots, validates and issues until `stop`.
fn run_caller(number: usize, url: &str, full: &Value, open: &Value, stop: &AtomicBool) -> Acknowledged {
    let agent: Agent = agent();
    let mut done = Acknowledged::default();
    let call = |path: &str, token: Option<&str>, body: &Value| {
        call(&agent, url, "POST", path, token, Some(body)).unwrap_or_default()
    };
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let device = format!("device {number} {}", round % 20);
        let body = json!({"key": full, "domain": "a.com", "fingerprint": device});
        let (status, verdict) = call("/api/v1/validate", None, &body);
        if status == 200 && verdict["valid"] == true {
            done.devices.insert(device);
        }
        let (status, verdict) = call("/api/v1/validate", None, &json!({"key": open, "domain": "a.com"}));
        done.validations += u64::from(status == 200 && verdict["valid"] == true);
        let request = json!({"plan": "starter", "customer_email": "dev@example.com"});
        let (status, license) = call("/api/v1/licenses", Some(TOKEN), &request);
        if status == 201 {
            done.issued.push(license["id"].as_str().unwrap().to_owned());
        }
    }
    done
}

/// Waits until `is_done` returns true for what a statement on the server returns.
async fn wait_for(server: &TestServer, statement: &'static str) {
    let mut raw = server.connect().await.unwrap();
    while !raw.fetch_one(statement).await.unwrap().get::<bool, _>(0) {
        thread::yield_now();
    }
}

async fn fail_over(take_down: impl FnOnce(&TestServer)) {
    let Some(primary) = TestServer::start(&[("wal_level", "replica"), ("max_wal_senders", "4")]) else {
        return;
    };
    let standby = primary.standby("standby");
    // From here on, a commit is acknowledged when the standby has it.
    let mut raw = primary.connect().await.unwrap();
    raw.execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await.unwrap();
    raw.execute("SELECT pg_reload_conf()").await.unwrap();
    wait_for(&primary, "SELECT EXISTS (SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync')").await;
    drop(raw);

    let folder = tempdir().unwrap();
    let database = format!(
        "postgres://postgres@{},{}/postgres?target_session_attrs=read-write",
        primary.place(),
        standby.place()
    );
    let secret = "5a".repeat(32);
    let env = [("LICENSE_DATABASE", database.as_str()), ("LICENSE_SECRET", secret.as_str())];
    let server = Server::start_with(folder.path(), &["--admin-token", TOKEN], &env);
    let plan = |max_devices: Value| json!({"plan": "starter", "customer_email": "dev@example.com", "max_domains": 1, "max_devices": max_devices});
    let (full, open) = (server.issue(TOKEN, &plan(json!(DEVICES))), server.issue(TOKEN, &plan(Value::Null)));

    let stop = AtomicBool::new(false);
    let done: Vec<Acknowledged> = thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|number| {
                let (url, full, open, stop) = (&server.url, &full["key"], &open["key"], &stop);
                scope.spawn(move || run_caller(number, url, full, open, stop))
            })
            .collect();
        // Under load, until slots are taken.
        let slots = || {
            let path = format!("/api/v1/licenses/{}", full["id"].as_str().unwrap());
            server.call("GET", &path, Some(TOKEN), None).1["devices"].as_array().map(Vec::len)
        };
        while slots() < Some(5) {}
        let down = SystemClock.now();
        take_down(&primary);
        standby.promote();
        let promoted = SystemClock.now() - down;
        let request = json!({"plan": "starter", "customer_email": "dev@example.com"});
        while server.call("POST", "/api/v1/licenses", Some(TOKEN), Some(&request)).0 != 201 {}
        let recovered = SystemClock.now() - down;
        #[expect(clippy::print_stdout, reason = "the figures of docs/postgres.md")]
        {
            println!("promoted after {promoted}, commands after {recovered}");
        }
        // All slots are taken, at last on the new primary.
        while slots() < Some(DEVICES) {}
        stop.store(true, Ordering::Relaxed);
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });

    let id = full["id"].as_str().unwrap();
    let license = server.license(TOKEN, id);
    let listed: BTreeSet<_> =
        license["devices"].as_array().unwrap().iter().map(|device| device.as_str().unwrap()).collect();
    let devices: BTreeSet<_> = done.iter().flat_map(|done| &done.devices).cloned().collect();
    assert!(devices.len() <= DEVICES, "oversold: {}", devices.len());
    let lost: Vec<_> = devices.iter().filter(|device| !listed.contains(device.as_str())).collect();
    assert!(lost.is_empty(), "acknowledged slots are lost: {lost:?} of {listed:?}");
    let validations: u64 = done.iter().map(|done| done.validations).sum();
    let counted = server.counted_license(TOKEN, open["id"].as_str().unwrap())["validation_count"].as_u64();
    assert!(counted >= Some(validations), "{counted:?} of {validations} validations are counted");
    for id in done.iter().flat_map(|done| &done.issued) {
        server.license(TOKEN, id);
    }
    assert!(server.text("/ready").contains("\"change_feed\":\"listening\""), "{}", server.text("/ready"));
    // A start finds the new primary too.
    drop(server);
    let server = Server::start_with(folder.path(), &["--admin-token", TOKEN], &env);
    server.license(TOKEN, id);
}

#[tokio::test]
async fn crashed_primary_loses_nothing_that_was_acknowledged() {
    fail_over(TestServer::crash).await;
}

/// Connections to a frozen server stay open. It is frozen until the test ends.
#[tokio::test]
async fn frozen_primary_is_left() {
    fail_over(TestServer::freeze).await;
}

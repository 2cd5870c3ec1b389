//! Faults of PostgreSQL under load: answers to callers, no lost validation, and recovery without help.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::{TempDir, tempdir};
use test_database::TestServer;

use crate::postgres::node;
use crate::process::{Server, TOKEN, agent, call_with_outage, now};

/// More callers than a node has connections.
const CALLERS: usize = 16;
const SLOTS: usize = 3;

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// A node and its database server, a license with three slots, and one that was never validated.
struct Setup {
    database: TestServer,
    node: Server,
    license: Value,
    uncached: Value,
    /// Valid and denied answers.
    answered: AtomicU64,
    /// Valid and denied answers that were marked as given during an outage.
    in_outage: AtomicU64,
    valid: AtomicU64,
    /// Devices that got a slot.
    granted: Mutex<Vec<String>>,
    _folder: TempDir,
}

impl Setup {
    fn new(settings: &[(&str, &str)]) -> Option<Self> {
        let database = TestServer::start(settings)?;
        let folder = tempdir().unwrap();
        let node = node(folder.path(), &database.url());
        let request =
            json!({"plan": "enterprise", "customer_email": "dev@example.com", "max_devices": SLOTS});
        let (license, uncached) = (node.issue(TOKEN, &request), node.issue(TOKEN, &request));
        Some(Self {
            database,
            node,
            license,
            uncached,
            answered: AtomicU64::new(0),
            in_outage: AtomicU64::new(0),
            valid: AtomicU64::new(0),
            granted: Mutex::default(),
            _folder: folder,
        })
    }

    /// Validates once. Fails the test unless the answer is a verdict or a 503 in JSON.
    fn validate(&self, agent: &ureq::Agent, device: &str) {
        let body = json!({"key": self.license["key"], "fingerprint": device});
        let (status, verdict, down) =
            call_with_outage(agent, &self.node.url, "POST", "/api/v1/validate", None, Some(&body)).unwrap();
        match (status, verdict["valid"] == true) {
            (200, true) => {
                self.valid.fetch_add(1, Ordering::SeqCst);
                let mut granted = self.granted.lock().unwrap();
                if !granted.iter().any(|known| known == device) {
                    granted.push(device.to_owned());
                }
            }
            (200, false) => assert_eq!(verdict["error"], "DEVICE_LIMIT_REACHED", "{verdict}"),
            (503, _) => {
                assert_eq!(verdict["error"], "STORE_UNAVAILABLE", "{verdict}");
                return;
            }
            other => panic!("{other:?}: {verdict}"),
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        self.in_outage.fetch_add(down.into(), Ordering::SeqCst);
    }

    /// Validates from several devices without pause while `fault` runs. Then checks that all answers are
    /// counted.
    fn load_through(&self, fault: impl FnOnce(&Self)) {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for caller in 0..CALLERS {
                let stop = &stop;
                scope.spawn(move || {
                    let (agent, device) = (agent(), format!("device {caller}"));
                    while !stop.load(Ordering::SeqCst) {
                        self.validate(&agent, &device);
                    }
                });
            }
            // Until all slots are taken and the license is cached.
            until(|| self.granted.lock().unwrap().len() == SLOTS);
            self.until_answered(100);
            fault(self);
            until(|| self.node.text("/metrics").contains("license_store_outage 0\n"));
            self.until_answered(100);
            stop.store(true, Ordering::SeqCst);
        });
        until(|| self.node.call("GET", "/ready", None, None).1["change_feed"] == "listening");
        until(|| self.node.text("/metrics").contains("license_commit_waiting 0\n"));
        until(|| self.node.text("/metrics").contains("license_journal_waiting 0\n"));
        let id = self.license["id"].as_str().unwrap();
        let found = self.node.counted_license(TOKEN, id);
        let held: Vec<_> =
            found["devices"].as_array().unwrap().iter().map(|device| device.as_str().unwrap()).collect();
        assert_eq!(held.len(), SLOTS, "{held:?}");
        for device in self.granted.lock().unwrap().iter() {
            assert!(held.contains(&device.as_str()), "{device} got a slot and has none");
        }
        let (valid, answered) = (self.valid.load(Ordering::SeqCst), self.answered.load(Ordering::SeqCst));
        assert_eq!(found["validation_count"].as_u64(), Some(valid), "{valid} answers were valid");
        let (_, usage) = self.node.call("GET", &format!("/api/v1/licenses/{id}/usage"), Some(TOKEN), None);
        let recorded = usage["total"].as_u64().unwrap() + usage["denied"].as_u64().unwrap();
        assert_eq!(recorded, answered, "{answered} verdicts: {usage}");
        assert!(
            self.node.text("/metrics").contains("license_commit_dropped_total 0\n"),
            "no validation is dropped"
        );
    }

    fn until_answered(&self, more: u64) {
        let before = self.answered.load(Ordering::SeqCst);
        until(|| self.answered.load(Ordering::SeqCst) > before + more);
    }

    /// Checks the node while the database does not answer: cached licenses are validated, everything else
    /// is 503.
    fn assert_outage(&self) {
        let before = self.in_outage.load(Ordering::SeqCst);
        until(|| self.in_outage.load(Ordering::SeqCst) > before + 200);
        let body = json!({"key": self.uncached["key"], "fingerprint": "device 1"});
        let (status, verdict) = self.node.call("POST", "/api/v1/validate", None, Some(&body));
        assert_eq!((status, &verdict["error"]), (503, &json!("STORE_UNAVAILABLE")), "not cached");
        let path = format!("/api/v1/licenses/{}", self.uncached["id"].as_str().unwrap());
        let (status, refused) = self.node.call("DELETE", &path, Some(TOKEN), None);
        assert_eq!((status, &refused["code"]), (503, &json!("STORE_UNAVAILABLE")), "a change");
        let (status, ready) = self.node.call("GET", "/ready", None, None);
        assert_eq!((status, &ready["code"]), (503, &json!("STORE_UNAVAILABLE")));
        assert_eq!(self.node.call("GET", "/health", None, None).0, 200, "the process is healthy");
        let metrics = self.node.text("/metrics");
        for line in ["license_store_up 0\n", "license_store_outage 1\n"] {
            assert!(metrics.contains(line), "{line}: {metrics}");
        }
        until(|| self.node.text("/metrics").contains("license_change_feed_listening 0\n"));
    }

    fn run<T>(&self, work: impl AsyncFnOnce(&TestServer) -> T) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(work(&self.database))
    }
}

#[test]
fn crashed_database_does_not_stop_cached_licenses() {
    let Some(setup) = Setup::new(&[]) else { return };
    setup.load_through(|setup| {
        setup.database.crash();
        setup.assert_outage();
        setup.database.restart();
    });
    assert!(setup.node.text("/metrics").contains("license_change_feed_listening 1\n"));
}

/// A database that hangs counts as down after the timeout.
#[test]
fn frozen_database_does_not_stop_cached_licenses() {
    let Some(setup) = Setup::new(&[]) else { return };
    setup.load_through(|setup| {
        let frozen = now();
        setup.database.freeze();
        setup.assert_outage();
        // Longer than all timeouts of the node.
        until(|| frozen.elapsed() > Duration::from_secs(5));
        setup.until_answered(100);
        setup.database.thaw();
    });
}

#[test]
fn terminated_connections_are_reopened() {
    let Some(setup) = Setup::new(&[]) else { return };
    setup.load_through(|setup| {
        for _ in 0..5 {
            setup.run(async |database| {
                let mut connection = database.connect().await.unwrap();
                let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                    AND backend_type = 'client backend'";
                connection.execute(terminate).await.unwrap();
                connection.close().await.unwrap();
            });
            setup.until_answered(20);
        }
    });
}

/// Other clients take all connections of the database server, and terminate those of the node.
#[test]
fn database_without_connections_does_not_stop_cached_licenses() {
    let Some(setup) = Setup::new(&[("max_connections", "20")]) else { return };
    setup.load_through(|setup| {
        let taken: Vec<PgConnection> = setup.run(async |database| {
            let mut taken = vec![database.connect().await.unwrap()];
            while taken.len() < 20 {
                let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE application_name LIKE 'license-store%'";
                taken[0].execute(terminate).await.unwrap();
                if let Ok(connection) = database.connect().await {
                    taken.push(connection);
                }
            }
            taken
        });
        setup.assert_outage();
        drop(taken);
    });
}

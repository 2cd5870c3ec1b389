//! Faults of PostgreSQL under load: what callers see, that nothing answered is lost, and that the node recovers by itself.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::{TempDir, tempdir};
use test_database::TestServer;

use crate::postgres::{TOKEN, node};
use crate::process::{Server, agent, call_marked};

/// More than a node has connections.
const CALLERS: usize = 16;
const SLOTS: usize = 3;

#[expect(clippy::disallowed_methods, reason = "how long the fault lasts, not what is judged by")]
fn now() -> Instant {
    Instant::now()
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// A node, its database server, a license of three slots, and one that no validation has asked for.
struct Scene {
    database: TestServer,
    node: Server,
    license: Value,
    unasked: Value,
    /// Answered valid, or with a denial.
    answered: AtomicU64,
    /// Of these, answered while the node said that the store is down.
    in_outage: AtomicU64,
    /// Answered valid.
    valid: AtomicU64,
    refused: AtomicU64,
    /// Devices that were granted a slot.
    granted: Mutex<Vec<String>>,
    _folder: TempDir,
}

impl Scene {
    fn new(settings: &[(&str, &str)]) -> Option<Self> {
        let database = TestServer::start(settings)?;
        let folder = tempdir().unwrap();
        let node = node(folder.path(), &database.url());
        let request =
            json!({"plan": "enterprise", "customer_email": "dev@example.com", "max_devices": SLOTS});
        let (license, unasked) = (node.issue(TOKEN, &request), node.issue(TOKEN, &request));
        Some(Self {
            database,
            node,
            license,
            unasked,
            answered: AtomicU64::new(0),
            in_outage: AtomicU64::new(0),
            valid: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            granted: Mutex::default(),
            _folder: folder,
        })
    }

    /// One validation. Anything but a verdict or a 503 in JSON fails the test.
    fn validate(&self, agent: &ureq::Agent, device: &str) {
        let body = json!({"key": self.license["key"], "fingerprint": device});
        let (status, verdict, down) =
            call_marked(agent, &self.node.url, "POST", "/api/v1/validate", None, Some(&body)).unwrap();
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
                self.refused.fetch_add(1, Ordering::SeqCst);
                return;
            }
            other => panic!("{other:?}: {verdict}"),
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        self.in_outage.fetch_add(down.into(), Ordering::SeqCst);
    }

    /// Callers with devices of their own, without pause, while `fault` runs; then all is as it was answered.
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
            // Until all slots are taken, and known to be.
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
        let found = self.node.license(TOKEN, id);
        let held: Vec<_> =
            found["devices"].as_array().unwrap().iter().map(|device| device.as_str().unwrap()).collect();
        assert_eq!(held.len(), SLOTS, "{held:?}");
        for device in self.granted.lock().unwrap().iter() {
            assert!(held.contains(&device.as_str()), "{device} was granted a slot, and holds none");
        }
        let (valid, answered) = (self.valid.load(Ordering::SeqCst), self.answered.load(Ordering::SeqCst));
        assert_eq!(found["validation_count"].as_u64(), Some(valid), "{valid} were answered valid");
        let (_, usage) = self.node.call("GET", &format!("/api/v1/licenses/{id}/usage"), Some(TOKEN), None);
        let recorded = usage["total"].as_u64().unwrap() + usage["denied"].as_u64().unwrap();
        assert_eq!(recorded, answered, "{answered} stand in the history: {usage}");
        assert!(self.node.text("/metrics").contains("license_commit_dropped_total 0\n"), "none is lost");
    }

    fn until_answered(&self, more: u64) {
        let before = self.answered.load(Ordering::SeqCst);
        until(|| self.answered.load(Ordering::SeqCst) > before + more);
    }

    /// While the database does not answer: what is remembered is answered, and marked; what is not is 503, and so is every
    /// change; the node says what it lacks.
    fn see_the_outage(&self) {
        let before = self.in_outage.load(Ordering::SeqCst);
        until(|| self.in_outage.load(Ordering::SeqCst) > before + 200);
        let body = json!({"key": self.unasked["key"], "fingerprint": "device 1"});
        let (status, verdict) = self.node.call("POST", "/api/v1/validate", None, Some(&body));
        assert_eq!((status, &verdict["error"]), (503, &json!("STORE_UNAVAILABLE")), "not remembered");
        let path = format!("/api/v1/licenses/{}", self.unasked["id"].as_str().unwrap());
        let (status, refused) = self.node.call("DELETE", &path, Some(TOKEN), None);
        assert_eq!((status, &refused["code"]), (503, &json!("STORE_UNAVAILABLE")), "a change");
        let (status, ready) = self.node.call("GET", "/ready", None, None);
        assert_eq!((status, &ready["code"]), (503, &json!("STORE_UNAVAILABLE")));
        assert_eq!(self.node.call("GET", "/health", None, None).0, 200, "the node itself runs");
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
fn a_crashed_database_keeps_no_cached_license_from_running() {
    let Some(scene) = Scene::new(&[]) else { return };
    scene.load_through(|scene| {
        scene.database.crash();
        scene.see_the_outage();
        scene.database.start_again();
    });
    assert!(scene.node.text("/metrics").contains("license_change_feed_listening 1\n"));
}

/// A database that hangs is as one that is down: nobody waits for it longer than the node is told to.
#[test]
fn a_frozen_database_keeps_no_cached_license_from_running() {
    let Some(scene) = Scene::new(&[]) else { return };
    scene.load_through(|scene| {
        let frozen = now();
        scene.database.freeze();
        scene.see_the_outage();
        // Longer than any of the node's own deadlines.
        until(|| frozen.elapsed() > Duration::from_secs(5));
        scene.until_answered(100);
        scene.database.thaw();
    });
}

#[test]
fn terminated_connections_are_made_anew() {
    let Some(scene) = Scene::new(&[]) else { return };
    scene.load_through(|scene| {
        for _ in 0..5 {
            scene.run(async |database| {
                let mut connection = database.connect().await.unwrap();
                let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                    AND backend_type = 'client backend'";
                connection.execute(terminate).await.unwrap();
                connection.close().await.unwrap();
            });
            scene.until_answered(20);
        }
    });
}

/// Others take every connection that the server has left, and cut those of the node: as if it were down, until they go.
#[test]
fn a_server_without_connections_keeps_no_cached_license_from_running() {
    let Some(scene) = Scene::new(&[("max_connections", "20")]) else { return };
    scene.load_through(|scene| {
        let taken: Vec<PgConnection> = scene.run(async |database| {
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
        scene.see_the_outage();
        drop(taken);
    });
}

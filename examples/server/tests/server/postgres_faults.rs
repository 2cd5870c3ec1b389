//! Faults of PostgreSQL under load: what callers see, that nothing answered is lost, and that the node recovers by itself.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::{TempDir, tempdir};
use test_database::TestServer;

use crate::postgres::{TOKEN, node};
use crate::process::{Server, agent, call};

/// More than a node has connections.
const CALLERS: usize = 16;
const SLOTS: usize = 3;

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// A node, its database server, and a license of three slots.
struct Scene {
    database: TestServer,
    node: Server,
    license: Value,
    answered: AtomicU64,
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
        let license = node.issue(TOKEN, &request);
        let (answered, refused, granted) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::default());
        Some(Self { database, node, license, answered, refused, granted, _folder: folder })
    }

    /// One validation; whether it was answered. Anything but a verdict or a 503 in JSON fails the test.
    fn validate(&self, agent: &ureq::Agent, device: &str) -> bool {
        let body = json!({"key": self.license["key"], "fingerprint": device});
        let (status, verdict) =
            call(agent, &self.node.url, "POST", "/api/v1/validate", None, Some(&body)).unwrap();
        match (status, verdict["valid"] == true) {
            (200, true) => {
                self.answered.fetch_add(1, Ordering::SeqCst);
                let mut granted = self.granted.lock().unwrap();
                if !granted.iter().any(|known| known == device) {
                    granted.push(device.to_owned());
                }
                true
            }
            (200, false) => {
                assert_eq!(verdict["error"], "DEVICE_LIMIT_REACHED", "{verdict}");
                true
            }
            (503, _) => {
                assert_eq!(verdict["error"], "STORE_UNAVAILABLE", "{verdict}");
                self.refused.fetch_add(1, Ordering::SeqCst);
                false
            }
            other => panic!("{other:?}: {verdict}"),
        }
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
            let before = self.answered.load(Ordering::SeqCst);
            until(|| self.answered.load(Ordering::SeqCst) > before + 20);
            fault(self);
            let before = self.answered.load(Ordering::SeqCst);
            until(|| self.answered.load(Ordering::SeqCst) > before + 100);
            stop.store(true, Ordering::SeqCst);
        });
        until(|| self.node.call("GET", "/ready", None, None).1["change_feed"] == "listening");
        let found = self.node.license(TOKEN, self.license["id"].as_str().unwrap());
        let held: Vec<_> =
            found["devices"].as_array().unwrap().iter().map(|device| device.as_str().unwrap()).collect();
        assert_eq!(held.len(), SLOTS, "{held:?}");
        for device in self.granted.lock().unwrap().iter() {
            assert!(held.contains(&device.as_str()), "{device} was granted a slot, and holds none");
        }
        let (counted, answered) =
            (found["validation_count"].as_u64().unwrap(), self.answered.load(Ordering::SeqCst));
        let refused = self.refused.load(Ordering::SeqCst);
        assert!(counted >= answered, "{answered} were answered valid, {counted} are counted");
        // One whose commit was not answered may be counted, and was not answered valid.
        assert!(
            counted <= answered + refused,
            "{counted} are counted of {answered} answered and {refused} refused"
        );
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
fn a_crashed_database_is_503_until_it_is_back() {
    let Some(scene) = Scene::new(&[]) else { return };
    scene.load_through(|scene| {
        scene.database.crash();
        let before = scene.refused.load(Ordering::SeqCst);
        until(|| scene.refused.load(Ordering::SeqCst) > before + 20);
        let (status, ready) = scene.node.call("GET", "/ready", None, None);
        assert_eq!((status, &ready["code"]), (503, &json!("STORE_UNAVAILABLE")));
        assert_eq!(scene.node.call("GET", "/health", None, None).0, 200, "the node itself runs");
        until(|| scene.node.text("/metrics").contains("license_change_feed_listening 0\n"));
        assert!(scene.node.text("/metrics").contains("license_store_up 0\n"));
        scene.database.start_again();
    });
    assert!(scene.node.text("/metrics").contains("license_change_feed_listening 1\n"));
}

/// Calls wait for a database that does not answer, those without a connection for the time that is set, and end as they should
/// when it goes on.
#[test]
fn a_frozen_database_is_waited_for() {
    let Some(scene) = Scene::new(&[]) else { return };
    scene.load_through(|scene| {
        scene.database.freeze();
        // Those that hold a connection wait; the others are told after the time that is set that none is free.
        let before = scene.refused.load(Ordering::SeqCst);
        until(|| scene.refused.load(Ordering::SeqCst) > before);
        assert_eq!(scene.node.call("GET", "/health", None, None).0, 200, "the node itself runs");
        scene.database.thaw();
    });
}

#[test]
fn terminated_connections_are_made_anew() {
    let Some(scene) = Scene::new(&[]) else { return };
    scene.load_through(|scene| {
        for _ in 0..5 {
            let before = scene.answered.load(Ordering::SeqCst);
            scene.run(async |database| {
                let mut connection = database.connect().await.unwrap();
                let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                    AND backend_type = 'client backend'";
                connection.execute(terminate).await.unwrap();
                connection.close().await.unwrap();
            });
            until(|| scene.answered.load(Ordering::SeqCst) > before + 20);
        }
    });
}

/// Others take every connection that the server has left, and cut those of the node: it is unavailable until they go.
#[test]
fn a_server_without_connections_is_503_until_there_are_some() {
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
        let before = scene.refused.load(Ordering::SeqCst);
        until(|| scene.refused.load(Ordering::SeqCst) > before + 5);
        drop(taken);
    });
}

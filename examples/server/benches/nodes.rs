//! Measures how fast a change reaches other nodes. Prints Markdown tables.
//!
//! Run it with `benches/nodes`, which starts a PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a failed unwrap ends the bench")]
#![expect(clippy::print_stdout, reason = "the bench prints a table")]

#[path = "../tests/server/process.rs"]
#[expect(dead_code, reason = "the tests call more of it")]
mod process;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use license_core::catalog::PlanCatalog;
use license_core::clock::{Clock, SystemClock, SystemRng};
use license_core::command::{Command, CommandContext, CommandOutcome, LicenseSpec};
use license_core::key::Secret;
use license_core::license::{CustomerEmail, LicenseId};
use license_core::service::{LicenseService, ServiceContext, ServiceOptions};
use license_core::store::LicenseStore;
use license_core::store::{ChangeNotice, ChangeStream};
use license_core::trial::TrialKey;
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use serde_json::{Value, json};
use test_database::TestDatabase;

use process::{Server, agent, call, now, starter};

/// Licenses, and changes of each: suspend and reinstate in turn, and revoke at the end.
const LICENSES: usize = 40;
const CHANGES: usize = 31;
const SECRET: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
const TOKEN: &str = "a-token-for-the-bench-only";
/// Revoked tokens.
const TOKENS: usize = 300;
/// Time after which a node counts as never informed.
const PROPAGATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Expected answer to a validation: a denial code, or `None` for valid.
type Expected = Option<&'static str>;

/// Returns the n-th change of a license and the expected answer after it.
fn change(number: usize) -> (&'static str, Expected) {
    match number {
        _ if number + 1 == CHANGES => ("revoke", Some("LICENSE_REVOKED")),
        _ if number.is_multiple_of(2) => ("suspend", Some("LICENSE_SUSPENDED")),
        _ => ("reinstate", None),
    }
}

/// A thread that validates on another node until the answer is as expected, and returns the time.
struct Poller {
    requests: mpsc::Sender<(Value, Expected)>,
    answered: mpsc::Receiver<Instant>,
}

impl Poller {
    fn new(url: String) -> Self {
        let (requests, received) = mpsc::channel::<(Value, Expected)>();
        let (answers, answered) = mpsc::channel();
        thread::spawn(move || {
            let agent = agent();
            for (body, expected) in received {
                let start = now();
                loop {
                    let (_, answer) =
                        call(&agent, &url, "POST", "/api/v1/validate", None, Some(&body)).unwrap();
                    if answer["error"].as_str() == expected {
                        break;
                    }
                    assert!(start.elapsed() < PROPAGATION_TIMEOUT, "still {answer}, not {expected:?}");
                }
                if answers.send(now()).is_err() {
                    return;
                }
            }
        });
        Self { requests, answered }
    }
}

/// Starts three server processes on one database.
fn three_nodes(folder: &Path, database: &TestDatabase) -> [Server; 3] {
    let env =
        [("LICENSE_SECRET", SECRET), ("LICENSE_ADMIN_TOKEN", TOKEN), ("LICENSE_DATABASE", &database.url())];
    [(); 3].map(|()| Server::start_with(folder, &[], &env))
}

fn over_http(database: &TestDatabase) -> Vec<Duration> {
    let folder = tempfile::tempdir().unwrap();
    let nodes = three_nodes(folder.path(), database);
    let others: Vec<_> = nodes[1..].iter().map(|node| Poller::new(node.url.clone())).collect();
    let until = |key: &Value, expected: Expected| {
        for other in &others {
            other.requests.send((json!({ "key": key, "domain": "example.com" }), expected)).unwrap();
        }
        others.iter().map(|other| other.answered.recv().unwrap()).collect::<Vec<_>>()
    };
    let agent = agent();
    let mut took = Vec::new();
    for _ in 0..LICENSES {
        let license = nodes[0].issue(TOKEN, &starter());
        let (id, key) = (license["id"].as_str().unwrap(), &license["key"]);
        // All nodes have cached the license.
        until(key, None);
        for number in 0..CHANGES {
            let (name, expected) = change(number);
            let path = format!("/api/v1/licenses/{id}");
            let (method, path) = match name {
                "revoke" => ("DELETE", path),
                _ => ("POST", format!("{path}/{name}")),
            };
            let (status, answer) = call(&agent, &nodes[0].url, method, &path, Some(TOKEN), None).unwrap();
            let acknowledged = now();
            assert_eq!(status, 200, "{answer}");
            took.extend(until(key, expected).into_iter().map(|time| time - acknowledged));
        }
    }
    took
}

/// Callers per node: those that validate the license to revoke, and those that validate others.
const WATCHERS: usize = 2;
const OTHERS: usize = 2;
const REVOCATIONS: usize = 1_000;

/// Continuous load on three nodes.
#[derive(Default)]
struct Load {
    /// Number of the license to revoke, and the request that validates it.
    current: Mutex<(usize, Value)>,
    /// What each watcher of each node has observed.
    observed: [[Mutex<Observation>; WATCHERS]; 3],
    answers: AtomicU64,
    over: AtomicBool,
}

/// Answers for one license.
#[derive(Clone, Copy, Default)]
struct Observation {
    number: usize,
    denied: bool,
    /// Times of the request and of the answer, for the last valid answer.
    valid: Option<(Instant, Instant)>,
}

impl Load {
    fn watch(&self, url: &str, observed: &Mutex<Observation>) {
        let agent = agent();
        while !self.over.load(Ordering::SeqCst) {
            let (number, body) = self.current.lock().unwrap().clone();
            if body.is_null() {
                continue;
            }
            let requested = now();
            let (_, answer) = call(&agent, url, "POST", "/api/v1/validate", None, Some(&body)).unwrap();
            self.answers.fetch_add(1, Ordering::Relaxed);
            let mut observed = observed.lock().unwrap();
            if observed.number != number {
                *observed = Observation { number, ..Observation::default() };
            }
            if answer["valid"] == true {
                assert!(!observed.denied, "valid again after a denial");
                observed.valid = Some((requested, now()));
            } else {
                assert_eq!(answer["error"], "LICENSE_REVOKED", "{answer}");
                observed.denied = true;
            }
        }
    }

    fn use_others(&self, url: &str, keys: &[Value], first: usize) {
        let agent = agent();
        for n in first.. {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let body = json!({ "key": keys[n % keys.len()], "domain": "example.com" });
            let (_, answer) = call(&agent, url, "POST", "/api/v1/validate", None, Some(&body)).unwrap();
            assert_eq!(answer["valid"], true, "{answer}");
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until `condition` holds for each watcher and this license.
    fn until(&self, number: usize, condition: impl Fn(&Observation) -> bool) {
        let start = now();
        let holds = |observed: &Mutex<Observation>| {
            let observed = *observed.lock().unwrap();
            observed.number == number && condition(&observed)
        };
        for observed in self.observed.iter().flatten() {
            while !holds(observed) {
                assert!(start.elapsed() < PROPAGATION_TIMEOUT, "a node does not see license {number}");
                thread::yield_now();
            }
        }
    }
}

/// Revokes licenses on the first node under load. Returns, for each, the time from the acknowledgement to
/// the last valid answer of another node.
fn revoke_under_load(database: &TestDatabase) -> Vec<Duration> {
    let folder = tempfile::tempdir().unwrap();
    let nodes = three_nodes(folder.path(), database);
    let keys: Vec<_> = (0..100).map(|_| nodes[0].issue(TOKEN, &starter())["key"].clone()).collect();
    let load = Load::default();
    let (mut late, start) = (Vec::new(), now());
    thread::scope(|scope| {
        for (node, watchers) in nodes.iter().zip(&load.observed) {
            for observed in watchers {
                scope.spawn(|| load.watch(&node.url, observed));
            }
            for n in 0..OTHERS {
                let (load, keys) = (&load, &keys);
                scope.spawn(move || load.use_others(&node.url, keys, n * 50));
            }
        }
        for number in 1..=REVOCATIONS {
            let license = nodes[0].issue(TOKEN, &starter());
            *load.current.lock().unwrap() =
                (number, json!({ "key": license["key"], "domain": "example.com" }));
            load.until(number, |observed| observed.valid.is_some());
            let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
            let (status, answer) = nodes[0].call("DELETE", &path, Some(TOKEN), None);
            let acknowledged = now();
            assert_eq!(status, 200, "{answer}");
            load.until(number, |observed| observed.denied);
            let last = |node: usize| load.observed[node].iter().filter_map(|one| one.lock().unwrap().valid);
            let stale = last(0).filter(|(requested, _)| *requested > acknowledged).count();
            assert_eq!(stale, 0, "the node that revoked it answered valid afterwards");
            let others = last(1).chain(last(2));
            late.extend(others.map(|(_, answered)| answered.saturating_duration_since(acknowledged)).max());
        }
        load.over.store(true, Ordering::SeqCst);
    });
    let answers = load.answers.into_inner();
    println!("\n{answers} validations meanwhile, {:.0} per second", per_second(answers, start));
    late
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn per_second(answers: u64, start: Instant) -> f64 {
    answers as f64 / start.elapsed().as_secs_f64()
}

/// Revokes tokens on one node. Returns the times from the acknowledgement until each of the two others
/// rejects the token.
fn revoke_tokens(database: &TestDatabase) -> Vec<Duration> {
    let folder = tempfile::tempdir().unwrap();
    let nodes = three_nodes(folder.path(), database);
    let mut took = Vec::new();
    for _ in 0..TOKENS {
        let body = json!({ "name": "a bench", "scopes": ["licenses:read"] });
        let (status, created) = nodes[0].call("POST", "/api/v1/tokens", Some(TOKEN), Some(&body));
        assert_eq!(status, 201, "{created}");
        let (id, token) = (created["id"].as_str().unwrap(), created["token"].as_str().unwrap());
        let cached = Barrier::new(3);
        let rejected = |node: &Server| {
            let agent = agent();
            let list =
                || call(&agent, &node.url, "GET", "/api/v1/licenses?limit=1", Some(token), None).unwrap().0;
            assert_eq!(list(), 200);
            cached.wait();
            let start = now();
            while list() != 401 {
                assert!(start.elapsed() < PROPAGATION_TIMEOUT, "the token is still accepted");
            }
            now()
        };
        let (acknowledged, times) = thread::scope(|scope| {
            let others: Vec<_> = nodes[1..].iter().map(|node| scope.spawn(|| rejected(node))).collect();
            cached.wait();
            let (status, answer) =
                nodes[0].call("DELETE", &format!("/api/v1/tokens/{id}"), Some(TOKEN), None);
            let acknowledged = now();
            assert_eq!(status, 200, "{answer}");
            assert_eq!(nodes[0].call("GET", "/api/v1/licenses", Some(token), None).0, 401);
            (acknowledged, others.into_iter().map(|other| other.join().unwrap()).collect::<Vec<_>>())
        });
        took.extend(times.into_iter().map(|time| time.saturating_duration_since(acknowledged)));
    }
    took
}

/// Forwards the changes of a feed with the time of their arrival.
fn forward(
    mut feed: Box<dyn ChangeStream>,
) -> tokio::sync::mpsc::UnboundedReceiver<(LicenseId, u64, Instant)> {
    let (send, heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            if let ChangeNotice::LicenseChanged(change) = feed.next().await
                && send.send((change.license_id, change.version, now())).is_err()
            {
                return;
            }
        }
    });
    heard
}

async fn over_change_feed(database: &TestDatabase) -> Vec<Duration> {
    let connect = || async {
        Arc::new(PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.unwrap())
    };
    let (first, second, third) = (connect().await, connect().await, connect().await);
    let mut others = [forward(second.changes()), forward(third.changes())];
    let secret = Secret::from_hex(SECRET).unwrap();
    let store: Arc<dyn LicenseStore> = first.clone();
    let options = ServiceOptions::new(&secret, SystemClock, SystemRng);
    let context = ServiceContext::open(&*store, options).await.unwrap();
    let service = LicenseService::new(store, context);
    let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").unwrap());
    let plans = Arc::new(PlanCatalog::standard());
    let mut took = Vec::new();
    for _ in 0..LICENSES {
        let id = service.issue(&spec, None).await.unwrap().detail.license.id.clone();
        for number in 0..CHANGES {
            let command = match change(number).0 {
                "revoke" => Command::Revoke,
                "suspend" => Command::Suspend,
                _ => Command::Reinstate,
            };
            let context = CommandContext {
                plans: Arc::clone(&plans),
                now: SystemClock.now(),
                expected_version: None,
                expected_key: None,
                by: None,
                idempotency: None,
                reason: None,
                job: None,
                trials: TrialKey::from_bytes([7; 32]).into(),
            };
            let outcome = first.execute(&id, &command, &context).await.unwrap();
            let acknowledged = now();
            let CommandOutcome::Done(license) = outcome else { panic!("{outcome:?}") };
            for other in &mut others {
                let heard = loop {
                    let heard = tokio::time::timeout(PROPAGATION_TIMEOUT, other.recv())
                        .await
                        .expect("a notice")
                        .unwrap();
                    if heard.0 == id && heard.1 == license.version {
                        break heard.2;
                    }
                };
                // A notice can arrive before the acknowledgement.
                took.push(heard.saturating_duration_since(acknowledged));
            }
        }
    }
    took
}

fn row(name: &str, changes: usize, mut took: Vec<Duration>) {
    took.sort_unstable();
    let percentile = |per_mille: usize| took[(took.len() - 1) * per_mille / 1_000].as_secs_f64() * 1e3;
    let (p50, p99, max) = (percentile(500), percentile(990), percentile(1_000));
    println!("| {name} | {changes} | {p50:.2} ms | {p99:.2} ms | {max:.2} ms |");
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let Some(database) = runtime.block_on(TestDatabase::new()) else { return };
    if std::env::args().any(|argument| argument == "tokens") {
        row("rejects a revoked token", TOKENS, revoke_tokens(&database));
        return;
    }
    println!("| from the acknowledgement on one node until each of two others | changes | p50 | p99 | max |");
    println!("|---|---|---|---|---|");
    let changes = LICENSES * CHANGES;
    row("validates accordingly, over HTTP", changes, over_http(&database));
    row("receives the change notification", changes, runtime.block_on(over_change_feed(&database)));
    row("rejects a revoked token", TOKENS, revoke_tokens(&database));
    let late = revoke_under_load(&database);
    println!(
        "\n| from the acknowledgement of a revocation on one node, under load | revocations | p50 | p99 | max |"
    );
    println!("|---|---|---|---|---|");
    row("to the last valid answer of two others", REVOCATIONS, late);
    println!("\nThe revoking node gave no valid answer to a request after its acknowledgement.");
}

//! How soon other nodes know of a change, as a table in Markdown. `benches/nodes` starts a PostgreSQL and runs it.

#![expect(clippy::unwrap_used, reason = "a bench that meets the unexpected stops")]
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

#[path = "../tests/server/process.rs"]
#[expect(dead_code, reason = "made for tests, which call more of it")]
mod process;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use license_core::change::{ChangeFeed, Notice};
use license_core::clock::{Clock, SystemClock, SystemRng};
use license_core::command::{Command, CommandContext, LicenseSpec, Outcome};
use license_core::customer::CustomerEmail;
use license_core::key::Secret;
use license_core::license::LicenseId;
use license_core::plan::PlanCatalog;
use license_core::service::LicenseService;
use license_core::store::LicenseStore;
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use serde_json::{Value, json};
use test_database::TestDatabase;

use process::{Server, agent, call, starter};

/// Licenses, and changes of each: suspended and reinstated in turn, and revoked in the end.
const LICENSES: usize = 40;
const CHANGES: usize = 31;
const SECRET: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
const TOKEN: &str = "a-token-for-the-bench-only";
/// A node that knows nothing after this will never.
const NEVER: Duration = Duration::from_secs(10);

/// What a validation must answer: `None`, valid; else this code.
type Expected = Option<&'static str>;

/// The change with that number: what to ask, and what holds then.
fn change(number: usize) -> (&'static str, Expected) {
    match number {
        _ if number + 1 == CHANGES => ("revoke", Some("LICENSE_REVOKED")),
        _ if number.is_multiple_of(2) => ("suspend", Some("LICENSE_SUSPENDED")),
        _ => ("reinstate", None),
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
fn now() -> Instant {
    Instant::now()
}

/// Another node, asked until it answers as expected; the time when it did.
struct Asked {
    ask: mpsc::Sender<(Value, Expected)>,
    answered: mpsc::Receiver<Instant>,
}

impl Asked {
    fn new(url: String) -> Self {
        let (ask, asks) = mpsc::channel::<(Value, Expected)>();
        let (answers, answered) = mpsc::channel();
        thread::spawn(move || {
            let agent = agent();
            for (body, expected) in asks {
                let start = now();
                loop {
                    let (_, answer) =
                        call(&agent, &url, "POST", "/api/v1/validate", None, Some(&body)).unwrap();
                    if answer["error"].as_str() == expected {
                        break;
                    }
                    assert!(start.elapsed() < NEVER, "still {answer}, not {expected:?}");
                }
                if answers.send(now()).is_err() {
                    return;
                }
            }
        });
        Self { ask, answered }
    }
}

/// Three server processes on one database.
fn three_nodes(folder: &Path, database: &TestDatabase) -> [Server; 3] {
    let env =
        [("LICENSE_SECRET", SECRET), ("LICENSE_ADMIN_TOKEN", TOKEN), ("LICENSE_DATABASE", &database.url())];
    [(); 3].map(|()| Server::start_with(folder, &[], &env))
}

fn over_http(database: &TestDatabase) -> Vec<Duration> {
    let folder = tempfile::tempdir().unwrap();
    let nodes = three_nodes(folder.path(), database);
    let others: Vec<_> = nodes[1..].iter().map(|node| Asked::new(node.url.clone())).collect();
    let until = |key: &Value, expected: Expected| {
        for other in &others {
            other.ask.send((json!({ "key": key, "domain": "example.com" }), expected)).unwrap();
        }
        others.iter().map(|other| other.answered.recv().unwrap()).collect::<Vec<_>>()
    };
    let agent = agent();
    let mut took = Vec::new();
    for _ in 0..LICENSES {
        let license = nodes[0].issue(TOKEN, &starter());
        let (id, key) = (license["id"].as_str().unwrap(), &license["key"]);
        // Whatever nodes remember of a license, they do.
        until(key, None);
        for number in 0..CHANGES {
            let (name, expected) = change(number);
            let path = format!("/api/v1/licenses/{id}");
            let (method, path) = match name {
                "revoke" => ("DELETE", path),
                _ => ("POST", format!("{path}/{name}")),
            };
            let (status, answer) = call(&agent, &nodes[0].url, method, &path, Some(TOKEN), None).unwrap();
            let told = now();
            assert_eq!(status, 200, "{answer}");
            took.extend(until(key, expected).into_iter().map(|time| time - told));
        }
    }
    took
}

/// Callers of each node that ask for the license that is about to be revoked, and those that ask for others.
const WATCHERS: usize = 2;
const OTHERS: usize = 2;
const REVOCATIONS: usize = 1_000;

/// Callers of three nodes, all the time.
#[derive(Default)]
struct Load {
    /// The license in question: its number and a validation of it.
    question: Mutex<(usize, Value)>,
    /// Of each node, for each watcher: which license the last answer was of, whether it was valid, when it was asked and
    /// answered.
    seen: [[Mutex<Seen>; WATCHERS]; 3],
    answers: AtomicU64,
    over: AtomicBool,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    number: usize,
    denied: bool,
    /// Of the last valid answer.
    valid: Option<(Instant, Instant)>,
}

impl Load {
    fn watch(&self, url: &str, seen: &Mutex<Seen>) {
        let agent = agent();
        while !self.over.load(Ordering::SeqCst) {
            let (number, body) = self.question.lock().unwrap().clone();
            if body.is_null() {
                continue;
            }
            let asked = now();
            let (_, answer) = call(&agent, url, "POST", "/api/v1/validate", None, Some(&body)).unwrap();
            self.answers.fetch_add(1, Ordering::Relaxed);
            let mut seen = seen.lock().unwrap();
            if seen.number != number {
                *seen = Seen { number, ..Seen::default() };
            }
            if answer["valid"] == true {
                assert!(!seen.denied, "valid again after a denial");
                seen.valid = Some((asked, now()));
            } else {
                assert_eq!(answer["error"], "LICENSE_REVOKED", "{answer}");
                seen.denied = true;
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

    /// Waits until each watcher has seen what `is` says of the license with that number.
    fn until(&self, number: usize, is: impl Fn(&Seen) -> bool) {
        let start = now();
        for seen in self.seen.iter().flatten() {
            while !Some(*seen.lock().unwrap()).is_some_and(|seen| seen.number == number && is(&seen)) {
                assert!(start.elapsed() < NEVER, "license {number} is not seen as it is");
                thread::yield_now();
            }
        }
    }
}

/// Licenses are revoked one after the other at the first node, while callers of all three ask for them and for others. For
/// each: until when the other nodes answered valid, reckoned from the answer to the revocation.
fn revoked_under_load(database: &TestDatabase) -> Vec<Duration> {
    let folder = tempfile::tempdir().unwrap();
    let nodes = three_nodes(folder.path(), database);
    let keys: Vec<_> = (0..100).map(|_| nodes[0].issue(TOKEN, &starter())["key"].clone()).collect();
    let load = Load::default();
    let (mut late, start) = (Vec::new(), now());
    thread::scope(|scope| {
        for (node, seen) in nodes.iter().zip(&load.seen) {
            for seen in seen {
                scope.spawn(|| load.watch(&node.url, seen));
            }
            for n in 0..OTHERS {
                let (load, keys) = (&load, &keys);
                scope.spawn(move || load.use_others(&node.url, keys, n * 50));
            }
        }
        for number in 1..=REVOCATIONS {
            let license = nodes[0].issue(TOKEN, &starter());
            *load.question.lock().unwrap() =
                (number, json!({ "key": license["key"], "domain": "example.com" }));
            load.until(number, |seen| seen.valid.is_some());
            let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
            let (status, answer) = nodes[0].call("DELETE", &path, Some(TOKEN), None);
            let told = now();
            assert_eq!(status, 200, "{answer}");
            load.until(number, |seen| seen.denied);
            let last = |node: usize| load.seen[node].iter().filter_map(|seen| seen.lock().unwrap().valid);
            let stale = last(0).filter(|(asked, _)| *asked > told).count();
            assert_eq!(stale, 0, "the node that revoked it answered valid afterwards");
            let others = last(1).chain(last(2));
            late.extend(others.map(|(_, answered)| answered.saturating_duration_since(told)).max());
        }
        load.over.store(true, Ordering::SeqCst);
    });
    let answers = load.answers.into_inner();
    println!("\n{answers} validations were answered meanwhile, {:.0} a second", per_second(answers, start));
    late
}

#[expect(clippy::cast_precision_loss, reason = "to be read by people")]
fn per_second(answers: u64, start: Instant) -> f64 {
    answers as f64 / start.elapsed().as_secs_f64()
}

/// Sends on when what was heard.
fn hear(mut feed: Box<dyn ChangeFeed>) -> tokio::sync::mpsc::UnboundedReceiver<(LicenseId, u64, Instant)> {
    let (send, heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            if let Notice::Changed(change) = feed.next().await
                && send.send((change.license_id, change.version, now())).is_err()
            {
                return;
            }
        }
    });
    heard
}

async fn through_the_feed(database: &TestDatabase) -> Vec<Duration> {
    let connect = || async {
        Arc::new(PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.unwrap())
    };
    let (first, second, third) = (connect().await, connect().await, connect().await);
    let mut others = [hear(second.changes()), hear(third.changes())];
    let secret = Secret::from_hex(SECRET).unwrap();
    let store: Arc<dyn LicenseStore> = first.clone();
    let service = LicenseService::builder(store, &secret, SystemClock, SystemRng).build().await.unwrap();
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
            let context =
                CommandContext { plans: Arc::clone(&plans), now: SystemClock.now(), expected_version: None };
            let outcome = first.execute(&id, &command, &context).await.unwrap();
            let told = now();
            let Outcome::Done(license) = outcome else { panic!("{outcome:?}") };
            for other in &mut others {
                let heard = loop {
                    let heard = tokio::time::timeout(NEVER, other.recv()).await.expect("a notice").unwrap();
                    if heard.0 == id && heard.1 == license.version {
                        break heard.2;
                    }
                };
                // Heard before the answer: no time at all.
                took.push(heard.saturating_duration_since(told));
            }
        }
    }
    took
}

fn row(name: &str, changes: usize, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |per_mille: usize| took[(took.len() - 1) * per_mille / 1_000].as_secs_f64() * 1e3;
    let (middle, p99, most) = (at(500), at(990), at(1_000));
    println!("| {name} | {changes} | {middle:.2} ms | {p99:.2} ms | {most:.2} ms |");
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let Some(database) = runtime.block_on(TestDatabase::new()) else { return };
    println!("| from the answer on one node until each of two others | changes | p50 | p99 | max |");
    println!("|---|---|---|---|---|");
    let changes = LICENSES * CHANGES;
    row("answers a validation accordingly, over HTTP", changes, over_http(&database));
    row("has heard of it through the change feed", changes, runtime.block_on(through_the_feed(&database)));
    let late = revoked_under_load(&database);
    println!("\n| from the answer to a revocation on one node, under load | revocations | p50 | p99 | max |");
    println!("|---|---|---|---|---|");
    row("until the last valid answer of two others", REVOCATIONS, late);
    println!("\nThe node that revoked answered none valid that was asked after its answer.");
}

//! How soon other nodes know of a change, as a table in Markdown. `benches/nodes` starts a PostgreSQL and runs it.

#![expect(clippy::unwrap_used, reason = "a bench that meets the unexpected stops")]
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

#[path = "../tests/server/process.rs"]
#[expect(dead_code, reason = "made for tests, which call more of it")]
mod process;

use std::path::Path;
use std::sync::{Arc, mpsc};
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

fn over_http(database: &TestDatabase) -> Vec<Duration> {
    let folder = tempfile::tempdir().unwrap();
    let env =
        [("LICENSE_SECRET", SECRET), ("LICENSE_ADMIN_TOKEN", TOKEN), ("LICENSE_DATABASE", &database.url())];
    let start = |folder: &Path| Server::start_with(folder, &[], &env);
    let nodes = [start(folder.path()), start(folder.path()), start(folder.path())];
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
            let context = CommandContext {
                plans: Arc::clone(&plans),
                now: SystemClock.now(),
                expected_version: None,
                by: None,
            };
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

fn row(name: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |per_mille: usize| took[(took.len() - 1) * per_mille / 1_000].as_secs_f64() * 1e3;
    let (middle, p99, most) = (at(500), at(990), at(1_000));
    println!("| {name} | {} | {middle:.2} ms | {p99:.2} ms | {most:.2} ms |", took.len() / 2);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let Some(database) = runtime.block_on(TestDatabase::new()) else { return };
    println!("| from the answer on one node until each of two others | changes | p50 | p99 | max |");
    println!("|---|---|---|---|---|");
    row("answers a validation accordingly, over HTTP", over_http(&database));
    row("has heard of it through the change feed", runtime.block_on(through_the_feed(&database)));
}

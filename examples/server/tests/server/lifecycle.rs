//! Kills and shutdowns: no acknowledged validation is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::json;
use tempfile::tempdir;
use test_database::TestDatabase;

use crate::postgres::node_with;
use crate::process::{Server, TOKEN, agent, call, starter};

const CALLERS: usize = 8;
/// Kills per database.
const ROUNDS: usize = 25;

/// Kills the server under load, repeatedly. After each restart, the count is at least the answered
/// validations less `max_lost`, and at most the requested ones.
fn assert_counted_through_kills(start: impl Fn() -> Server, max_lost: u64) {
    let mut server = start();
    let license = server.issue(TOKEN, &starter());
    let id = license["id"].as_str().unwrap();
    let body = json!({"key": license["key"], "domain": "example.com"});
    // The count at the beginning of a round. Losses of earlier rounds stay lost.
    let mut counted = 0;
    // Counts all rounds: a request in flight at a kill may be committed after the next start.
    let asked = AtomicU64::new(0);
    for round in 1..=ROUNDS {
        let answered = AtomicU64::new(0);
        let url = server.url.clone();
        thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| {
                    let agent = agent();
                    loop {
                        asked.fetch_add(1, Ordering::SeqCst);
                        match call(&agent, &url, "POST", "/api/v1/validate", None, Some(&body)) {
                            Ok((200, verdict)) if verdict["valid"] == true => {
                                answered.fetch_add(1, Ordering::SeqCst)
                            }
                            Ok(other) => panic!("{other:?}"),
                            Err(_) => break,
                        };
                    }
                });
            }
            // Sometimes during compaction, sometimes before.
            let kill_after = 40 + (round as u64 * 137) % 400;
            while answered.load(Ordering::SeqCst) < kill_after {
                thread::yield_now();
            }
            server.kill();
        });
        server = start();
        let before = counted;
        counted = server.counted_license(TOKEN, id)["validation_count"].as_u64().unwrap();
        let (answered, asked) = (answered.into_inner(), asked.load(Ordering::SeqCst));
        let least = before + answered.saturating_sub(max_lost);
        assert!(
            counted >= least,
            "round {round}: {answered} were answered, {} are counted",
            counted - before
        );
        assert!(counted <= asked, "round {round}: {asked} were requested, {counted} are counted");
        let (_, usage) = server.call("GET", &format!("/api/v1/licenses/{id}/usage"), Some(TOKEN), None);
        assert_eq!(usage["total"].as_u64(), Some(counted), "usage agrees with the count");
    }
}

/// Runs the kills on SQLite and on PostgreSQL, with these flags.
async fn kill_on_each_database(flags: &[&str], max_lost: u64) {
    let folder = tempdir().unwrap();
    let sqlite = || Server::start_with(folder.path(), flags, &[("LICENSE_ADMIN_TOKEN", TOKEN)]);
    assert_counted_through_kills(sqlite, max_lost);
    let Some(database) = TestDatabase::new().await else { return };
    let folder = tempdir().unwrap();
    let postgres = || node_with(folder.path(), &database.url(), flags);
    assert_counted_through_kills(postgres, max_lost);
}

#[tokio::test]
async fn killed_server_has_counted_every_answer() {
    kill_on_each_database(&["--recording", "durable"], 0).await;
}

/// A full queue makes the next call wait for the commit. Concurrent callers can exceed the queue by one each.
#[tokio::test]
async fn killed_buffering_server_loses_at_most_its_queue() {
    let flags = ["--recording", "buffered", "--outage-records", "20"];
    kill_on_each_database(&flags, 20 + CALLERS as u64).await;
}

/// Stops the server under load. Requests in flight are answered and counted.
fn assert_counted_through_stop(start: impl Fn() -> Server, signal: &str) {
    let server = start();
    let license = server.issue(TOKEN, &starter());
    let answered = AtomicU64::new(0);
    let url = server.url.clone();
    let (code, log) = thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let agent = agent();
                let body = json!({"key": license["key"], "domain": "example.com"});
                while let Ok((status, _)) = call(&agent, &url, "POST", "/api/v1/validate", None, Some(&body))
                {
                    assert_eq!(status, 200);
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while answered.load(Ordering::SeqCst) < 100 {
            thread::yield_now();
        }
        server.stop(signal)
    });
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopping") && !log.contains("ERROR"), "{log}");
    let counted = start().counted_license(TOKEN, license["id"].as_str().unwrap())["validation_count"].clone();
    assert_eq!(counted, answered.load(Ordering::SeqCst), "every answer is counted");
}

#[tokio::test]
async fn stopped_server_finishes_requests_in_flight() {
    for (signal, flags) in
        [("-TERM", &["--recording", "durable"][..]), ("-INT", &["--recording", "buffered"])]
    {
        let folder = tempdir().unwrap();
        let sqlite = || Server::start_with(folder.path(), flags, &[("LICENSE_ADMIN_TOKEN", TOKEN)]);
        assert_counted_through_stop(sqlite, signal);
        let Some(database) = TestDatabase::new().await else { continue };
        let folder = tempdir().unwrap();
        assert_counted_through_stop(|| node_with(folder.path(), &database.url(), flags), signal);
    }
}

//! Kills and stops: what was answered stays.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::json;
use tempfile::tempdir;
use test_database::TestDatabase;

use crate::postgres::{TOKEN, node_with};
use crate::process::{Server, agent, call, starter};

const CALLERS: usize = 8;
/// On each database.
const ROUNDS: usize = 25;

/// Kills the server that `start` starts, under load, many times over. After each restart all is counted that was answered, but
/// for `may_be_lost` validations of each kill; and nothing is counted that was not asked for.
fn killed_under_load(start: impl Fn() -> Server, may_be_lost: u64) {
    let mut server = start();
    let license = server.issue(TOKEN, &starter());
    let id = license["id"].as_str().unwrap();
    let body = json!({"key": license["key"], "domain": "example.com"});
    // What was counted when a round began; what was lost before is gone for good.
    let mut counted = 0;
    // Over all rounds: what was on its way at a kill may be committed by the database after the next start.
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
            // Now amid compaction, now before it.
            let kill_after = 40 + (round as u64 * 137) % 400;
            while answered.load(Ordering::SeqCst) < kill_after {
                thread::yield_now();
            }
            server.kill();
        });
        server = start();
        let before = counted;
        counted = server.license(TOKEN, id)["validation_count"].as_u64().unwrap();
        let (answered, asked) = (answered.into_inner(), asked.load(Ordering::SeqCst));
        let least = before + answered.saturating_sub(may_be_lost);
        assert!(counted >= least, "round {round}: of {answered} answered, {} are counted", counted - before);
        assert!(counted <= asked, "round {round}: {asked} were asked, {counted} are counted");
        let (_, usage) = server.call("GET", &format!("/api/v1/licenses/{id}/usage"), Some(TOKEN), None);
        assert_eq!(usage["total"].as_u64(), Some(counted), "the history agrees with the count");
    }
}

/// Kills it by SQLite and by PostgreSQL, with these flags.
async fn killed_on_each_database(flags: &[&str], may_be_lost: u64) {
    let folder = tempdir().unwrap();
    let sqlite = || Server::start_with(folder.path(), flags, &[("LICENSE_ADMIN_TOKEN", TOKEN)]);
    killed_under_load(sqlite, may_be_lost);
    let Some(database) = TestDatabase::new().await else { return };
    let folder = tempdir().unwrap();
    let postgres = || node_with(folder.path(), &database.url(), flags);
    killed_under_load(postgres, may_be_lost);
}

#[tokio::test]
async fn a_killed_server_has_counted_every_answer() {
    killed_on_each_database(&["--recording", "durable"], 0).await;
}

/// What is answered before its commit is lost; but of so many that wait, the next call waits for the commit. Callers that come
/// at the same moment may find room for one, each.
#[tokio::test]
async fn a_killed_server_that_buffers_has_lost_no_more_than_it_may_hold() {
    killed_on_each_database(&["--recording", "buffered", "--outage-records", "20"], 20 + CALLERS as u64)
        .await;
}

/// Stops the server that `start` starts, under load: the calls that run are finished, each with its answer, and counted.
fn stopped_under_load(start: impl Fn() -> Server, signal: &str) {
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
    let counted = start().license(TOKEN, license["id"].as_str().unwrap())["validation_count"].clone();
    assert_eq!(counted, answered.load(Ordering::SeqCst), "answered and counted are the same");
}

/// By SIGTERM and by Ctrl-C, with each recording, by SQLite and by PostgreSQL.
#[tokio::test]
async fn a_stopped_server_finishes_what_runs() {
    for (signal, flags) in
        [("-TERM", &["--recording", "durable"][..]), ("-INT", &["--recording", "buffered"])]
    {
        let folder = tempdir().unwrap();
        let sqlite = || Server::start_with(folder.path(), flags, &[("LICENSE_ADMIN_TOKEN", TOKEN)]);
        stopped_under_load(sqlite, signal);
        let Some(database) = TestDatabase::new().await else { continue };
        let folder = tempdir().unwrap();
        stopped_under_load(|| node_with(folder.path(), &database.url(), flags), signal);
    }
}

//! Kills and stops: what was answered stays.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::json;
use tempfile::tempdir;

use crate::process::{Server, agent, call, starter};

/// Killed under load, several times over: every validation that was answered is counted after the restart.
#[test]
fn a_killed_server_has_counted_every_answer() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path());
    let token = server.token().to_owned();
    let license = server.issue(&token, &starter());
    let id = license["id"].as_str().unwrap();
    let answered = AtomicU64::new(0);
    let asked = AtomicU64::new(0);
    let mut server = Some(server);
    for round in 1..=5 {
        let running = server.take().unwrap();
        let url = running.url.clone();
        let enough = answered.load(Ordering::SeqCst) + 100;
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let agent = agent();
                    let body = json!({"key": license["key"], "domain": "example.com"});
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
            while answered.load(Ordering::SeqCst) < enough {
                thread::yield_now();
            }
            running.kill();
        });
        let restarted = Server::start(folder.path());
        let counted = restarted.license(&token, id)["validation_count"].as_u64().unwrap();
        let (answered, asked) = (answered.load(Ordering::SeqCst), asked.load(Ordering::SeqCst));
        assert!(counted >= answered, "round {round}: {answered} were answered, {counted} are counted");
        assert!(counted <= asked, "round {round}: {asked} were asked, {counted} are counted");
        let (_, usage) = restarted.call("GET", &format!("/api/v1/licenses/{id}/usage"), Some(&token), None);
        assert_eq!(usage["total"].as_u64(), Some(counted), "the history agrees with the count");
        server = Some(restarted);
    }
}

/// SIGTERM and Ctrl-C under load: the calls that run are finished, each with its answer, and counted.
#[test]
fn a_stopped_server_finishes_what_runs() {
    for signal in ["-TERM", "-INT"] {
        let folder = tempdir().unwrap();
        let server = Server::start(folder.path());
        let token = server.token().to_owned();
        let license = server.issue(&token, &starter());
        let answered = AtomicU64::new(0);
        let url = server.url.clone();
        let (code, log) = thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let agent = agent();
                    let body = json!({"key": license["key"], "domain": "example.com"});
                    while let Ok((status, _)) =
                        call(&agent, &url, "POST", "/api/v1/validate", None, Some(&body))
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
        assert!(log.contains("stopping"), "{log}");
        let counted =
            Server::start(folder.path()).license(&token, license["id"].as_str().unwrap())["validation_count"]
                .clone();
        assert_eq!(counted, answered.load(Ordering::SeqCst), "answered and counted are the same");
    }
}

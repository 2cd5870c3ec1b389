//! Limits and revocations under load, over HTTP.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::process::{Server, TOKEN, agent, call};

const CALLERS: usize = 24;

/// Validates from 24 callers at once, each with its own domain or device, numbered from `first`. Returns
/// how many are valid.
pub(crate) fn race(server: &Server, key: &Value, field: &str, first: usize) -> usize {
    let barrier = Barrier::new(CALLERS);
    thread::scope(|scope| {
        let call = |caller: usize| {
            let (barrier, url) = (&barrier, &server.url);
            move || {
                let body = json!({"key": key, field: format!("d{caller}.com")});
                let agent = agent();
                barrier.wait();
                let (status, verdict) =
                    call(&agent, url, "POST", "/api/v1/validate", None, Some(&body)).unwrap();
                assert_eq!(status, 200, "{verdict}");
                if verdict["valid"] == true {
                    1
                } else {
                    let code =
                        format!("{}_LIMIT_REACHED", if field == "domain" { "DOMAIN" } else { "DEVICE" });
                    assert_eq!(verdict["error"], code);
                    0
                }
            }
        };
        let callers: Vec<_> = (first..first + CALLERS).map(|caller| scope.spawn(call(caller))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    })
}

/// On SQLite, two processes share the file and the limit.
#[test]
fn parallel_callers_get_exactly_the_free_slots() {
    let folder = tempdir().unwrap();
    for database in ["memory:", "sqlite://licenses.db"] {
        let args = ["--database", database, "--admin-token", TOKEN];
        let start = || Server::start_with(folder.path(), &args, &[]);
        let (first, second) = (start(), (database != "memory:").then(start));
        for slots in [1, 3, 7] {
            for (field, limit, list) in
                [("domain", "max_domains", "domains"), ("fingerprint", "max_devices", "devices")]
            {
                let mut request = json!({"plan": "enterprise", "customer_email": "dev@example.com"});
                request[limit] = slots.into();
                let license = first.issue(TOKEN, &request);
                let won = match &second {
                    None => race(&first, &license["key"], field, 0),
                    Some(second) => thread::scope(|scope| {
                        let other = scope.spawn(|| race(second, &license["key"], field, CALLERS));
                        race(&first, &license["key"], field, 0) + other.join().unwrap()
                    }),
                };
                let found = first.license(TOKEN, license["id"].as_str().unwrap());
                let held = found[list].as_array().unwrap().len();
                assert_eq!(held, slots, "{held} {list} hold {slots} slots on {database}");
                assert_eq!(won, slots, "{won} callers won {slots} slots of {list} on {database}");
            }
        }
    }
}

#[test]
fn revoked_key_is_never_valid_again() {
    let folder = tempdir().unwrap();
    for database in ["memory:", "sqlite://licenses.db"] {
        let server = Server::start_with(folder.path(), &["--database", database], &[]);
        let token = server.token().to_owned();
        let license =
            server.issue(&token, &json!({"plan": "enterprise", "customer_email": "dev@example.com"}));
        let (revoked, valid, after) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let agent = agent();
                    let body = json!({"key": license["key"], "domain": "example.com"});
                    let mut calls_after = 0;
                    while calls_after < 20 {
                        let began_after = revoked.load(Ordering::SeqCst);
                        let (_, verdict) =
                            call(&agent, &server.url, "POST", "/api/v1/validate", None, Some(&body)).unwrap();
                        if began_after {
                            assert_eq!(
                                verdict["error"], "LICENSE_REVOKED",
                                "{verdict} after the revocation was acknowledged"
                            );
                            calls_after += 1;
                            after.fetch_add(1, Ordering::SeqCst);
                        } else if verdict["valid"] == true {
                            valid.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
            // Revokes under load: the callers have had several valid answers each.
            while valid.load(Ordering::SeqCst) < 80 {
                thread::yield_now();
            }
            let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
            let (status, answer) = server.call("DELETE", &path, Some(&token), None);
            revoked.store(true, Ordering::SeqCst);
            assert_eq!((status, &answer["status"]), (200, &json!("revoked")));
        });
        assert_eq!(after.load(Ordering::SeqCst), 160);
    }
}

//! A full disk: answers to callers, and no lost validation.

use std::process::Command;

use serde_json::json;
use tempfile::tempdir;

use crate::process::{BINARY, Server, agent, call_with_outage, command_of, starter};

/// Limits the size of the files that the running server can write, in bytes.
fn limit_files(server: &Server, bytes: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &server.pid(), &format!("--fsize={bytes}:unlimited")])
        .status();
    assert!(status.unwrap().success());
}

/// While the disk is full, changes get 503, cached licenses keep validating, and reads are answered. When
/// there is space again, the server recovers by itself, and all acknowledged validations are counted.
#[test]
fn full_disk_stops_changes_only_and_loses_nothing() {
    let folder = tempdir().unwrap();
    // With SIGXFSZ ignored, a write over the limit fails as on a full disk. The log is on the same disk.
    let mut command = command_of("sh", folder.path());
    command.args(["-c", "trap '' XFSZ; exec \"$0\" 2> log", BINARY]);
    let server = Server::run(command);
    let token = server.token().to_owned();
    let license = server.issue(&token, &starter());
    let (id, key) = (license["id"].as_str().unwrap(), license["key"].clone());
    let validate = |device: &str| {
        let body = json!({"key": key, "domain": "a.com", "fingerprint": device});
        call_with_outage(&agent(), &server.url, "POST", "/api/v1/validate", None, Some(&body)).unwrap()
    };
    let valid = |device: &str| {
        let (status, verdict, down) = validate(device);
        assert_eq!((status, &verdict["valid"]), (200, &json!(true)), "{verdict}");
        down
    };
    for _ in 0..20 {
        assert!(!valid("device 1"), "the store is up");
    }
    limit_files(&server, "1");
    let marked = (0..50).filter(|_| valid("device 1")).count();
    assert!(marked > 0, "some validations met the full disk");
    // A new device needs a committed slot.
    let (status, refused, _) = validate("device 2");
    assert_eq!((status, &refused["error"]), (503, &json!("STORE_UNAVAILABLE")), "{refused}");
    let (status, refused) = server.call("POST", "/api/v1/licenses", Some(&token), Some(&starter()));
    assert_eq!((status, &refused["code"]), (503, &json!("STORE_UNAVAILABLE")), "{refused}");
    let (status, refused) = server.call("DELETE", &format!("/api/v1/licenses/{id}"), Some(&token), None);
    assert_eq!((status, &refused["code"]), (503, &json!("STORE_UNAVAILABLE")), "{refused}");
    assert_eq!(
        server.license(&token, id)["status"],
        "active",
        "reads are answered, and the failed revocation changed nothing"
    );

    // A load balancer must not take the node away: it validates cached licenses.
    let (status, ready) = server.call("GET", "/ready", None, None);
    assert_eq!((status, &ready["warnings"]), (200, &json!(["disk_full"])), "{ready}");

    limit_files(&server, "unlimited");
    while server.text("/metrics").contains("license_store_outage 1\n") {
        std::thread::yield_now();
    }
    assert_eq!(server.license(&token, id)["devices"].as_array().unwrap().len(), 1);
    for _ in 0..20 {
        assert!(!valid("device 1"), "the server recovers by itself");
    }
    assert_eq!(server.call("GET", "/ready", None, None).1["warnings"], json!([]));
    assert_eq!(
        server.counted_license(&token, id)["validation_count"],
        90,
        "validations during the full disk are counted"
    );
    server.kill();
    let server = Server::start(folder.path());
    assert_eq!(server.counted_license(&token, id)["validation_count"], 90);
    assert_eq!(
        server.call("GET", "/api/v1/licenses", Some(&token), None).1["data"].as_array().unwrap().len(),
        1
    );
}

//! A full disk: what callers see, and that nothing that was answered is lost.

use std::process::Command;

use serde_json::json;
use tempfile::tempdir;

use crate::process::{BINARY, Server, agent, call_marked, command_of, starter};

/// Sets how large the server's files may grow, in bytes, while it runs.
fn limit_files(server: &Server, bytes: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &server.pid(), &format!("--fsize={bytes}:unlimited")])
        .status();
    assert!(status.unwrap().success());
}

/// The disk is full for a while: changes get 503, known licenses keep validating and their validations are kept, reads go on;
/// when there is room again all goes on by itself, with every count and every slot as it was answered.
#[test]
fn a_full_disk_stops_changes_only_and_loses_nothing() {
    let folder = tempdir().unwrap();
    // A process that may not write more is sent a signal that ends it, unless it is ignored: then the write fails, as on
    // a full disk. The log is on that disk as well.
    let mut command = command_of("sh", folder.path());
    command.args(["-c", "trap '' XFSZ; exec \"$0\" 2> log", BINARY]);
    let server = Server::run(command);
    let token = server.token().to_owned();
    let license = server.issue(&token, &starter());
    let (id, key) = (license["id"].as_str().unwrap(), license["key"].clone());
    let validate = |device: &str| {
        let body = json!({"key": key, "domain": "a.com", "fingerprint": device});
        call_marked(&agent(), &server.url, "POST", "/api/v1/validate", None, Some(&body)).unwrap()
    };
    let valid = |device: &str| {
        let (status, verdict, down) = validate(device);
        assert_eq!((status, &verdict["valid"]), (200, &json!(true)), "{verdict}");
        down
    };
    for _ in 0..20 {
        assert!(!valid("device 1"), "nothing is wrong yet");
    }
    limit_files(&server, "1");
    let marked = (0..50).filter(|_| valid("device 1")).count();
    assert!(marked > 0, "the disk was full for some");
    // A new device takes a slot only where it is kept.
    let (status, refused, _) = validate("device 2");
    assert_eq!((status, &refused["error"]), (503, &json!("STORE_UNAVAILABLE")), "{refused}");
    let (status, refused) = server.call("POST", "/api/v1/licenses", Some(&token), Some(&starter()));
    assert_eq!((status, &refused["code"]), (503, &json!("STORE_UNAVAILABLE")), "{refused}");
    let (status, refused) = server.call("DELETE", &format!("/api/v1/licenses/{id}"), Some(&token), None);
    assert_eq!((status, &refused["code"]), (503, &json!("STORE_UNAVAILABLE")), "{refused}");
    assert_eq!(
        server.license(&token, id)["status"],
        "active",
        "reads go on, and the refused revocation is not half done"
    );

    limit_files(&server, "unlimited");
    while server.text("/metrics").contains("license_store_outage 1\n") {
        std::thread::yield_now();
    }
    assert_eq!(server.license(&token, id)["devices"].as_array().unwrap().len(), 1);
    for _ in 0..20 {
        assert!(!valid("device 1"), "it goes on by itself");
    }
    assert_eq!(
        server.license(&token, id)["validation_count"],
        90,
        "those of the full disk are counted as well"
    );
    server.kill();
    let server = Server::start(folder.path());
    assert_eq!(server.license(&token, id)["validation_count"], 90);
    assert_eq!(
        server.call("GET", "/api/v1/licenses", Some(&token), None).1["data"].as_array().unwrap().len(),
        1
    );
}

//! A full disk: what callers see, and that nothing that was answered is lost.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::process::{BINARY, Server, command_of, starter};

/// Sets how large the server's files may grow, in bytes, while it runs.
fn limit_files(server: &Server, bytes: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &server.pid(), &format!("--fsize={bytes}:unlimited")])
        .status();
    assert!(status.unwrap().success());
}

/// The disk is full for a while: changes and validations get 503, reads go on, and when there is room again all goes on
/// by itself, with every count and every slot as it was answered.
#[test]
fn a_full_disk_is_503_and_loses_nothing() {
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
        server.call(
            "POST",
            "/api/v1/validate",
            None,
            Some(&json!({"key": key, "domain": "a.com", "fingerprint": device})),
        )
    };
    let mut answered = 0;
    let mut count = |(status, verdict): (u16, Value)| {
        if verdict["valid"] == true {
            assert_eq!(status, 200);
            answered += 1;
            true
        } else {
            assert_eq!((status, &verdict["error"]), (503, &json!("STORE_UNAVAILABLE")), "{verdict}");
            false
        }
    };
    for _ in 0..20 {
        assert!(count(validate("device 1")));
    }
    limit_files(&server, "1");
    let full = (0..50).filter(|_| !count(validate("device 1"))).count();
    assert!(full > 0, "the disk was full for some");
    // A new device takes a slot only where it is answered.
    let second = count(validate("device 2"));
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
    assert_eq!(server.license(&token, id)["devices"].as_array().unwrap().len(), 1 + usize::from(second));
    for _ in 0..20 {
        assert!(count(validate("device 1")), "it goes on by itself");
    }
    assert_eq!(server.license(&token, id)["validation_count"], answered);
    server.kill();
    let server = Server::start(folder.path());
    assert_eq!(server.license(&token, id)["validation_count"], answered);
    assert_eq!(
        server.call("GET", "/api/v1/licenses", Some(&token), None).1["data"].as_array().unwrap().len(),
        1
    );
}

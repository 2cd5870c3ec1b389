//! Network flags.

use serde_json::json;
use tempfile::tempdir;

use crate::process::{Server, TOKEN, command, failure, starter};

/// Rates are per hour, so that no permit comes back on a slow machine.
#[test]
fn rate_limit_flags_apply_and_can_be_off() {
    for (switch, last) in [("on", 429), ("off", 200)] {
        let (_folder, server) = Server::start_in_memory(&["--rate-limit", switch, "--rate-per-key", "1/h:2"]);
        let license = server.issue(TOKEN, &starter());
        let body = json!({"key": license["key"]});
        let statuses = [(); 3].map(|()| server.call("POST", "/api/v1/validate", None, Some(&body)).0);
        assert_eq!(statuses, [200, 200, last], "{switch}");
    }
    let (_folder, server) = Server::start_in_memory(&["--rate-limit", "on", "--rate-per-address", "1/h:2"]);
    let body = json!({"key": "TO-1111-2222-3333-4444"});
    let statuses = [(); 3].map(|()| server.call("POST", "/api/v1/validate", None, Some(&body)).0);
    assert_eq!(statuses, [400, 400, 429], "the address is the peer's");
}

#[test]
fn invalid_network_flags_are_rejected() {
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), "no certificate").unwrap();
    std::fs::write(folder.path().join("key.pem"), "no key").unwrap();
    for (args, part) in [
        (&["--tls-cert", "missing.pem", "--tls-key", "key.pem"][..], "TLS: missing.pem: No such file"),
        (&["--tls-cert", "cert.pem", "--tls-key", "key.pem"], "TLS: cert.pem: no certificate in PEM"),
    ] {
        let message = failure(folder.path(), args, &[]);
        assert!(message.contains(part), "{message}");
    }
    for args in [
        &["--rate-per-key", "0/s"][..],
        &["--rate-per-address", "often"],
        &["--trusted-proxy", "proxy.internal"],
        &["--proxy-header", "x-real-ip"],
        &["--cors-origin", "https://example.com/"],
        &["--cors-origin", "example.com"],
        &["--connections", "0"],
        &["--head-timeout", "0s"],
        &["--idle-timeout", "0s"],
        &["--tls-cert", "cert.pem"],
        &["--tls-key", "key.pem"],
    ] {
        let output = command(folder.path()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(args[0]) || message.contains("--tls-key"), "{args:?}: {message}");
    }
}

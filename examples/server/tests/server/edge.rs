//! The flags of the network's edge.

use serde_json::json;
use tempfile::tempdir;

use crate::process::{Server, refused, starter};

const TOKEN: &str = "a-token-of-my-own-0123456789";

fn start(args: &[&str]) -> (tempfile::TempDir, Server) {
    let folder = tempdir().unwrap();
    let args = [&["--database", "memory:", "--admin-token", TOKEN], args].concat();
    let server = Server::start_with(folder.path(), &args, &[]);
    (folder, server)
}

/// A rate of an hour: however slow the machine is, no call comes back meanwhile.
#[test]
fn rates_are_set_by_flag_and_off_is_off() {
    for (switch, last) in [("on", 429), ("off", 200)] {
        let (_folder, server) = start(&["--rate-limit", switch, "--rate-per-key", "1/h:2"]);
        let license = server.issue(TOKEN, &starter());
        let body = json!({"key": license["key"]});
        let statuses = [(); 3].map(|()| server.call("POST", "/api/v1/validate", None, Some(&body)).0);
        assert_eq!(statuses, [200, 200, last], "{switch}");
    }
    let (_folder, server) = start(&["--rate-limit", "on", "--rate-per-address", "1/h:2"]);
    let body = json!({"key": "TO-1111-2222-3333-4444"});
    let statuses = [(); 3].map(|()| server.call("POST", "/api/v1/validate", None, Some(&body)).0);
    assert_eq!(statuses, [400, 400, 429], "the address is that of the socket");
}

#[test]
fn flags_that_mean_nothing_are_refused() {
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), "no certificate").unwrap();
    std::fs::write(folder.path().join("key.pem"), "no key").unwrap();
    for (args, part) in [
        (&["--tls-cert", "missing.pem", "--tls-key", "key.pem"][..], "TLS: missing.pem: No such file"),
        (&["--tls-cert", "cert.pem", "--tls-key", "key.pem"], "TLS: cert.pem: no certificate in PEM"),
    ] {
        let said = refused(folder.path(), args, &[]);
        assert!(said.contains(part), "{said}");
    }
    for args in [
        &["--rate-per-key", "0/s"][..],
        &["--rate-per-address", "often"],
        &["--trusted-proxy", "proxy.internal"],
        &["--proxy-header", "x-real-ip"],
        &["--cors-origin", "https://example.com/"],
        &["--cors-origin", "example.com"],
        &["--connections", "0"],
        &["--head-timeout", "0"],
        &["--idle-timeout", "0"],
        &["--tls-cert", "cert.pem"],
    ] {
        let output = crate::process::command(folder.path()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(args[0]) || said.contains("--tls-key"), "{args:?}: {said}");
    }
}

//! Leases: the crate `license-client` and `license-server lease` against the server.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use license_client::{Client, PublicKey};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::process::{Server, command, failure};

/// A server with a license of a plan for offline use.
struct Vendor {
    server: Server,
    key: String,
    id: String,
    public_keys: Vec<PublicKey>,
}

impl Vendor {
    fn start(folder: &Path, plan: &Value) -> Self {
        let server = Server::start(folder);
        let plans = json!({ "name": "offline", "max_domains": 1, "max_devices": 3, "term": { "days": 30 } });
        let mut body = plans;
        body.as_object_mut().unwrap().extend(plan.as_object().unwrap().clone());
        let (status, made) = server.call("POST", "/api/v1/plans", Some(server.token()), Some(&body));
        assert_eq!(status, 201, "{made}");
        let spec = json!({ "plan": "offline", "customer_email": "dev@example.com" });
        let license = server.issue(server.token(), &spec);
        let public_keys = public_keys(&server);
        let text = |name: &str| license[name].as_str().unwrap().to_owned();
        Self { key: text("key"), id: text("id"), public_keys, server }
    }

    /// The software on one device. `url` is that of the server, or of none.
    fn software(&self, url: &str, state: &Path, device: &str) -> Client {
        let builder = Client::builder(url).product("default").public_keys(self.public_keys.clone());
        builder.license_key(&self.key).device_id(device).state_file(state).build().unwrap()
    }
}

/// Returns the public keys of the server, with which software is built.
pub(crate) fn public_keys(server: &Server) -> Vec<PublicKey> {
    let keys = server.call("GET", "/.well-known/jwks.json", None, None).1;
    let keys = keys["keys"].as_array().unwrap();
    keys.iter().map(|key| PublicKey::parse(key["x"].as_str().unwrap()).unwrap()).collect()
}

/// No server listens here.
const NO_SERVER: &str = "http://localhost:1";

/// Runs `license-server lease` with a code on standard input.
fn lease(folder: &Path, code: &str, args: &[&str]) -> Output {
    let mut command = command(folder);
    command.arg("lease").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(code.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn client_runs_by_its_lease_without_the_server() {
    let folder = tempdir().unwrap();
    let vendor = Vendor::start(folder.path(), &json!({ "offline_days": 7 }));
    let state = folder.path().join("state");
    let lease = vendor.software(&vendor.server.url, &state, "laptop").fetch_lease(Some(3)).unwrap();
    assert_eq!(lease.sub, vendor.id);
    let offline = vendor.software(NO_SERVER, &state, "laptop");
    assert!(offline.check().is_allowed());

    let path = format!("/api/v1/licenses/{}", vendor.id);
    let (status, revoked) = vendor.server.call("DELETE", &path, Some(vendor.server.token()), None);
    assert_eq!((status, &revoked["outstanding_leases"][0]["id"]), (200, &json!(lease.jti)), "{revoked}");
    vendor.software(&vendor.server.url, &state, "laptop").fetch_revocations().unwrap();
    assert_eq!(offline.check().decision.outcome.code(), Some("LEASE_REVOKED"));
}

#[test]
fn air_gapped_device_is_licensed_and_returned_by_codes() {
    let folder = tempdir().unwrap();
    let vendor = Vendor::start(folder.path(), &json!({ "offline_days": 7, "trust_release": true }));
    let software = vendor.software(NO_SERVER, &folder.path().join("state"), "air-gapped");
    let code = software.begin_request().unwrap().to_text();
    let answer = lease(folder.path(), &code, &["--request", "-", "--duration", "9d"]);
    let notes = String::from_utf8(answer.stderr).unwrap();
    assert!(answer.status.success() && notes.contains("the plan allows fewer days"), "{notes}");
    let file = String::from_utf8(answer.stdout).unwrap();
    assert!(file.starts_with("-----BEGIN LICENSE FILE-----\n"), "{file}");
    software.add_license_file(&file).unwrap();
    assert!(software.check().is_allowed());

    let qr = lease(folder.path(), &software.begin_request().unwrap().to_text(), &["--request", "-", "--qr"]);
    let drawn = String::from_utf8(qr.stdout).unwrap();
    assert!(qr.status.success() && drawn.contains('█') && !drawn.contains("LICENSE"), "{drawn}");

    let used = || {
        let path = format!("/api/v1/licenses/{}", vendor.id);
        vendor.server.call("GET", &path, Some(vendor.server.token()), None).1["devices_used"].clone()
    };
    assert_eq!(used(), 1);
    let release = software.return_lease().unwrap().to_text();
    assert!(!software.check().is_allowed());
    for _ in 0..2 {
        let returned = lease(folder.path(), &release, &["--release", "-"]);
        let notes = String::from_utf8(returned.stderr).unwrap();
        assert!(returned.status.success() && notes.contains("the slot of the device is free"), "{notes}");
    }
    assert_eq!(used(), 0);
}

#[test]
fn leases_verify_throughout_a_rotation_of_the_signing_key() {
    const DEVICES: usize = 24;
    let folder = tempdir().unwrap();
    let mut vendor = Vendor::start(folder.path(), &json!({ "offline_days": 7, "max_devices": null }));
    // Software that was built before the next key was made.
    let active = command(folder.path()).args(["signing-key", "export"]).output().unwrap();
    let active: Value = serde_json::from_slice(&active.stdout).unwrap();
    vendor.public_keys = vec![PublicKey::parse(active["x"].as_str().unwrap()).unwrap()];
    let (vendor, folder) = (&vendor, folder.path());
    let issued = AtomicUsize::new(0);
    let fetch = |device: usize| {
        let state = folder.join(format!("state {device}"));
        let software = vendor.software(&vendor.server.url, &state, &format!("device {device}"));
        let lease = software.fetch_lease(None).map_err(|error| format!("device {device}: {error}"))?;
        issued.fetch_add(1, Ordering::SeqCst);
        assert!(vendor.software(NO_SERVER, &state, &format!("device {device}")).check().is_allowed());
        Ok::<_, String>(lease)
    };
    std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..4)
            .map(|task| scope.spawn(move || (task..DEVICES).step_by(4).map(fetch).collect::<Vec<_>>()))
            .collect();
        while issued.load(Ordering::SeqCst) < DEVICES / 3 {
            std::thread::yield_now();
        }
        assert!(command(folder).args(["signing-key", "rotate"]).status().unwrap().success());
        for lease in tasks.into_iter().flat_map(|task| task.join().unwrap()) {
            lease.unwrap();
        }
    });
    let path = format!("/api/v1/licenses/{}", vendor.id);
    let license = vendor.server.call("GET", &path, Some(vendor.server.token()), None).1;
    assert_eq!(license["devices_used"], DEVICES);
}

#[test]
fn wrong_codes_are_refused_with_the_reason() {
    let folder = tempdir().unwrap();
    let why = failure(folder.path(), &["lease", "--request", "-"], &[]);
    assert!(why.contains("does not exist; start the server once"), "{why}");
    let vendor = Vendor::start(folder.path(), &json!({}));
    let software = vendor.software(NO_SERVER, &folder.path().join("state"), "laptop");
    let code = software.begin_request().unwrap().to_text();
    for (code, arguments, reason) in [
        ("LREQ1-0", &["--request", "-"][..], "the request code cannot be read"),
        (&*code, &["--release", "-"], "the release code cannot be read"),
        (&*code, &["--request", "-"], "OFFLINE_NOT_ALLOWED: This license cannot be used offline."),
    ] {
        let output = lease(folder.path(), code, arguments);
        let why = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && why.contains(reason), "{why}");
        assert!(output.stdout.is_empty() && !why.contains(&vendor.key), "{why}");
    }
}

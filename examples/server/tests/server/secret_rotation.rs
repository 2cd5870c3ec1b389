//! `license-server secret rotate` and `secret check`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::tempdir;
use test_database::TestDatabase;

use crate::process::{BINARY, Server, TOKEN, command, command_of, failure};

const OWN: &str = "licenses.db.secret";
const NEW: &str = "licenses.db.secret.new";
const PREVIOUS: &str = "licenses.db.secret.previous";

/// Runs a subcommand of `secret`. Returns its exit code and its output.
fn secret(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = command(folder).arg("secret").args(args).envs(env.iter().copied()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn issue(server: &Server) -> Value {
    let request = json!({"plan": "starter", "customer_email": "dev@example.com"});
    server.issue(TOKEN, &request)["key"].clone()
}

fn is_valid(server: &Server, key: &Value) -> bool {
    let request = json!({"key": key, "domain": "example.com"});
    server.call("POST", "/api/v1/validate", None, Some(&request)).1["valid"] == true
}

fn start(folder: &Path) -> Server {
    Server::start_with(folder, &["--admin-token", TOKEN], &[])
}

fn last_action(server: &Server) -> Value {
    server.call("GET", "/api/v1/audit?limit=1", Some(TOKEN), None).1["data"][0]["action"].clone()
}

#[test]
fn rotation_keeps_licenses_and_running_servers() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let server = start(folder);
    let before = issue(&server);
    let old = fs::read(folder.join(OWN)).unwrap();
    assert_eq!(secret(folder, &["check"], &[]).0, Some(0));
    let (code, text) = secret(folder, &["rotate"], &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("is sealed with the new secret") && text.contains(PREVIOUS), "{text}");
    assert_eq!(last_action(&server), "secret.rotate");
    let during = issue(&server);
    assert!(is_valid(&server, &before));
    drop(server);

    assert_eq!(fs::read(folder.join(PREVIOUS)).unwrap(), old);
    assert_ne!(fs::read(folder.join(OWN)).unwrap(), old);
    assert!(!folder.join(NEW).exists());
    assert_eq!(secret(folder, &["check"], &[]).0, Some(0));
    let (code, text) = secret(folder, &["check", "--secret-file", PREVIOUS], &[]);
    assert_eq!((code, text.contains("is not the secret of")), (Some(1), true), "{text}");
    let server = start(folder);
    assert!(is_valid(&server, &before) && is_valid(&server, &during));
    drop(server);
    let error = failure(folder, &["--secret-file", PREVIOUS], &[]);
    assert!(error.contains("if the secret was rotated, it is the new one"), "{error}");
    // The secret of the first rotation opens backups, and is not overwritten.
    let error = failure(folder, &["secret", "rotate"], &[]);
    assert!(error.contains("move it to a safe place"), "{error}");
    fs::remove_file(folder.join(PREVIOUS)).unwrap();
    assert_eq!(secret(folder, &["rotate"], &[]).0, Some(0));
    assert!(is_valid(&start(folder), &before));
}

/// After each step of a rotation, a start finds its secret or says how to finish, and a repetition finishes.
#[test]
fn rotation_killed_after_any_step_can_be_repeated() {
    for step in ["new secret written", "committed", "previous kept", "finished"] {
        let folder = tempdir().unwrap();
        let folder = folder.path();
        let server = start(folder);
        let key = issue(&server);
        server.kill();
        let (own, new, previous) = (folder.join(OWN), folder.join(NEW), folder.join(PREVIOUS));
        let old = fs::read(&own).unwrap();
        fs::copy(&own, folder.join("copy")).unwrap();
        if step == "new secret written" {
            fs::write(&new, "5b".repeat(32)).unwrap();
        } else {
            assert_eq!(secret(folder, &["rotate"], &[]).0, Some(0), "{step}");
            if step != "finished" {
                // The commit is made; undo the last steps on the files.
                fs::rename(&own, &new).unwrap();
                fs::copy(folder.join("copy"), &own).unwrap();
            }
            if step == "committed" {
                fs::remove_file(&previous).unwrap();
            }
        }
        let staged = fs::read(if step == "finished" { &own } else { &new }).unwrap();
        if ["committed", "previous kept"].contains(&step) {
            let error = failure(folder, &[], &[]);
            assert!(error.contains(NEW) && error.contains("license-server secret rotate"), "{step}: {error}");
        } else {
            assert!(is_valid(&start(folder), &key), "{step}");
        }
        if step != "finished" {
            let (code, text) = secret(folder, &["rotate"], &[]);
            assert_eq!(code, Some(0), "{step}: {text}");
        }
        assert_eq!((fs::read(&own).unwrap(), fs::read(&previous).unwrap()), (staged, old), "{step}");
        assert!(!new.exists(), "{step}");
        assert!(is_valid(&start(folder), &key), "{step}");
    }
}

/// A write fails as on a full disk, or kills the process with SIGXFSZ.
#[cfg(target_os = "linux")]
#[test]
fn rotation_on_a_full_disk_can_be_repeated() {
    let mut failed = 0;
    for bytes in [0, 32, 64, 4096, 16_384, 65_536] {
        for trap in ["trap '' XFSZ;", ""] {
            let folder = tempdir().unwrap();
            let folder = folder.path();
            let server = start(folder);
            let key = issue(&server);
            server.stop("-INT");
            let old = fs::read(folder.join(OWN)).unwrap();
            let script = format!("{trap} exec prlimit --fsize={bytes} \"$0\" secret rotate");
            let output = command_of("sh", folder).args(["-c", &script, BINARY]).output().unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            if !output.status.success() {
                failed += 1;
                if !trap.is_empty() {
                    assert_eq!(
                        (output.status.code(), error.lines().count()),
                        (Some(2), 1),
                        "{bytes}: {error}"
                    );
                }
                if secret(folder, &["check"], &[]).0 == Some(0) {
                    assert!(is_valid(&start(folder), &key), "{bytes} {trap}");
                } else {
                    let error = failure(folder, &[], &[]);
                    assert!(error.contains("finish it with license-server secret rotate"), "{error}");
                }
                let (code, text) = secret(folder, &["rotate"], &[]);
                assert_eq!(code, Some(0), "{bytes} {trap}: {text}");
            }
            assert!(is_valid(&start(folder), &key), "{bytes} {trap}");
            assert_eq!(fs::read(folder.join(PREVIOUS)).unwrap(), old, "{bytes} {trap}");
            assert_ne!(fs::read(folder.join(OWN)).unwrap(), old, "{bytes} {trap}");
        }
    }
    assert!(failed >= 6, "{failed} rotations met the limit");
}

#[test]
fn new_secret_may_be_given_in_a_file() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    drop(start(folder));
    fs::write(folder.join("given"), "5b".repeat(32)).unwrap();
    fs::write(folder.join("short"), "5b").unwrap();
    let error = failure(folder, &["secret", "rotate", "--new-secret-file", "short"], &[]);
    assert!(error.contains("64 hex digits"), "{error}");
    let error = failure(folder, &["secret", "rotate", "--new-secret-file", OWN], &[]);
    assert!(error.contains("has the current secret"), "{error}");
    assert_eq!(secret(folder, &["rotate", "--new-secret-file", "given"], &[]).0, Some(0));
    assert_eq!(fs::read_to_string(folder.join(OWN)).unwrap(), "5b".repeat(32));
    assert!(folder.join("given").exists());
}

#[tokio::test]
async fn rotation_on_postgres_needs_a_file_for_the_new_secret() {
    let Some(database) = TestDatabase::new().await else { return };
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let (url, old) = (database.url(), "5a".repeat(32));
    let env = [("LICENSE_DATABASE", url.as_str()), ("LICENSE_SECRET", old.as_str())];
    let server = Server::start_with(folder, &["--admin-token", TOKEN], &env);
    let key = issue(&server);
    let error = failure(folder, &["secret", "rotate"], &env);
    assert!(error.contains("--new-secret-file FILE"), "{error}");
    let rotate = ["rotate", "--new-secret-file", "new"];
    let (code, text) = secret(folder, &rotate, &env);
    assert_eq!((code, text.contains("every server needs it at its next start")), (Some(0), true), "{text}");
    let (code, text) = secret(folder, &rotate, &env);
    assert_eq!((code, text.contains("was sealed with the new secret already")), (Some(0), true), "{text}");
    assert!(is_valid(&server, &key), "a running server goes on");
    assert_eq!(secret(folder, &["check"], &env).0, Some(1));
    let error = failure(folder, &["--admin-token", TOKEN], &env);
    assert!(error.contains("if the secret was rotated, it is the new one"), "{error}");
    let new = [("LICENSE_DATABASE", url.as_str()), ("LICENSE_SECRET_FILE", "new")];
    assert_eq!(secret(folder, &["check"], &new).0, Some(0));
    assert!(is_valid(&Server::start_with(folder, &["--admin-token", TOKEN], &new), &key));
}

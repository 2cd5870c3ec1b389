//! Files that change under a running server, and what they contain.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::process::{Server, TOKEN, agent, call_with_outage, failure, starter};

const ADMIN: [&str; 2] = ["--admin-token", TOKEN];

/// Changes and readiness fail, cached licenses validate.
fn assert_outage(server: &Server, key: &Value) {
    let (status, refused) = server.call("POST", "/api/v1/licenses", Some(TOKEN), Some(&starter()));
    assert_eq!((status, &refused["code"]), (503, &json!("STORE_UNAVAILABLE")), "{refused}");
    let (status, refused) = server.call("GET", "/ready", None, None);
    assert_eq!((status, &refused["code"]), (503, &json!("STORE_UNAVAILABLE")), "{refused}");
    let body = json!({"key": key, "domain": "a.com"});
    let validate = || call_with_outage(&agent(), &server.url, "POST", "/api/v1/validate", None, Some(&body));
    let (status, verdict, _) = validate().unwrap();
    assert_eq!((status, &verdict["valid"]), (200, &json!(true)), "{verdict}");
}

/// Starts a server and issues a license that is cached. Returns its id and its key.
fn start(folder: &Path) -> (Server, String, Value) {
    let server = Server::start_with(folder, &ADMIN, &[]);
    let license = server.issue(TOKEN, &starter());
    let body = json!({"key": license["key"], "domain": "a.com"});
    // The first one takes a slot, the second one caches the license with it.
    for _ in 0..2 {
        assert_eq!(server.call("POST", "/api/v1/validate", None, Some(&body)).1["valid"], true);
    }
    let id = license["id"].as_str().unwrap().to_owned();
    (server, id, license["key"].clone())
}

#[test]
fn removed_database_is_an_outage_until_it_is_back() {
    for name in ["licenses.db", "licenses.db-wal", "licenses.db-shm"] {
        let folder = tempdir().unwrap();
        let (server, id, key) = start(folder.path());
        let (path, elsewhere) = (folder.path().join(name), folder.path().join("elsewhere"));
        std::fs::rename(&path, &elsewhere).unwrap();
        assert_outage(&server, &key);
        std::fs::write(&path, "").unwrap();
        assert_outage(&server, &key);
        std::fs::rename(&elsewhere, &path).unwrap();
        assert_eq!(server.call("GET", "/ready", None, None).0, 200, "{name}");
        while server.text("/metrics").contains("license_store_outage 1\n") {
            std::thread::yield_now();
        }
        server.issue(TOKEN, &starter());
        assert_eq!(
            server.counted_license(TOKEN, &id)["validation_count"],
            4,
            "validations of the outage count"
        );
        let (code, log) = server.stop("-INT");
        assert_eq!(code, Some(0));
        let lines: Vec<_> = log.lines().filter(|line| line.contains("was removed or replaced")).collect();
        assert!(lines.iter().filter(|line| line.contains("ERROR")).count() == 1, "one clear line: {log}");
        assert!(lines[0].contains(name), "{lines:?}");
    }
}

/// No call is needed: the server looks by itself.
#[test]
fn removed_database_is_logged_without_a_call() {
    let folder = tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = crate::process::command_of("sh", folder.path());
    command.args(["-c", "exec \"$0\" 2> log", crate::process::BINARY]);
    let server = Server::run(command);
    std::fs::remove_file(folder.path().join("licenses.db-wal")).unwrap();
    while !std::fs::read_to_string(&log).unwrap().contains("licenses.db-wal") {
        std::thread::yield_now();
    }
    server.kill();
}

#[test]
fn stop_saves_what_is_in_a_removed_log() {
    let folder = tempdir().unwrap();
    let (server, id, _) = start(folder.path());
    std::fs::remove_file(folder.path().join("licenses.db-wal")).unwrap();
    assert_eq!(server.call("POST", "/api/v1/licenses", Some(TOKEN), Some(&starter())).0, 503);
    server.stop("-INT");
    let server = Server::start_with(folder.path(), &ADMIN, &[]);
    server.license(TOKEN, &id);
}

/// The files stay in place while other processes open and close the database.
#[test]
fn stop_of_another_server_is_no_outage() {
    let folder = tempdir().unwrap();
    let (server, ..) = start(folder.path());
    for _ in 0..3 {
        let (other, id, _) = start(folder.path());
        assert_eq!(other.stop("-INT").0, Some(0));
        assert_eq!(server.call("GET", "/ready", None, None).0, 200);
        server.license(TOKEN, &id);
        server.issue(TOKEN, &starter());
    }
    let (_, log) = server.stop("-INT");
    assert!(!log.contains("was removed or replaced"), "{log}");
}

/// A secret without its database shows that the database is lost.
#[test]
fn secret_without_its_database_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path();
    let (server, id, _) = start(path);
    assert_eq!(server.stop("-INT").0, Some(0));
    std::fs::rename(path.join("licenses.db"), path.join("elsewhere")).unwrap();
    let names = || {
        let entries = std::fs::read_dir(path).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let secret = "5a".repeat(32);
    for is_empty in [false, true] {
        if is_empty {
            std::fs::write(path.join("licenses.db"), "").unwrap();
        }
        let before = names();
        for env in [&[][..], &[("LICENSE_SECRET", secret.as_str())]] {
            let message = failure(path, &[], env);
            for part in ["is missing or empty, but its secret licenses.db.secret exists", "--create"] {
                assert!(message.contains(part), "{message}");
            }
            assert_eq!(names(), before);
        }
    }
    std::fs::rename(path.join("elsewhere"), path.join("licenses.db")).unwrap();
    Server::start_with(path, &ADMIN, &[]).license(TOKEN, &id);
    std::fs::remove_file(path.join("licenses.db")).unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(path.join(format!("licenses.db{suffix}")));
    }
    let server = Server::start_with(path, &["--create", ADMIN[0], ADMIN[1]], &[]);
    assert!(server.startup_message.contains("(created)"), "{}", server.startup_message);
}

/// A first deployment in a container has a secret in its environment and no files.
#[test]
fn first_start_with_a_secret_of_the_environment_needs_no_flag() {
    let folder = tempdir().unwrap();
    let secret = "5a".repeat(32);
    Server::start_with(folder.path(), &[], &[("LICENSE_SECRET", secret.as_str())]);
    assert!(!folder.path().join("licenses.db.secret").exists());
}

/// SQLite would remove the log of a missing database, and with it the last changes.
#[test]
fn log_without_its_database_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path();
    let secret = "5a".repeat(32);
    let env = [("LICENSE_SECRET", secret.as_str())];
    let server = Server::start_with(path, &ADMIN, &env);
    let id = server.issue(TOKEN, &starter())["id"].as_str().unwrap().to_owned();
    server.kill();
    std::fs::rename(path.join("licenses.db"), path.join("elsewhere")).unwrap();
    let message = failure(path, &[], &env);
    assert!(
        message.contains("licenses.db is missing or empty, but its log licenses.db-wal exists"),
        "{message}"
    );
    std::fs::rename(path.join("elsewhere"), path.join("licenses.db")).unwrap();
    Server::start_with(path, &ADMIN, &env).license(TOKEN, &id);
}

#[test]
fn files_that_others_can_read_are_a_warning() {
    let folder = tempdir().unwrap();
    let (_, log) = Server::start(folder.path()).stop("-INT");
    assert!(!log.contains("chmod"), "{log}");
    for name in ["licenses.db", "licenses.db.secret"] {
        let path = folder.path().join(name);
        for (mode, is_warned) in [(0o640, true), (0o604, true), (0o600, false), (0o400, false)] {
            if name == "licenses.db" && mode == 0o400 {
                continue;
            }
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let (_, log) = Server::start(folder.path()).stop("-INT");
            let warning = format!("run: chmod 600 {name}");
            assert_eq!(log.lines().any(|line| line.ends_with(&warning)), is_warned, "{name} {mode:o}: {log}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn messages_never_show_a_password() {
    let folder = tempdir().unwrap();
    for args in [
        &["--database", "postgres://shop:Pa55w0rd#1@127.0.0.1:1/db"][..],
        &["--database", "postgres://shop:Pa55w0rd?1@127.0.0.1:1/db"],
        &["--database", "postgres://shop:Pa55w0rd/1@127.0.0.1:1/db"],
        &["--database", "postgres://shop:Pa55w0rd"],
        &["--database", "postgres://127.0.0.1:1/db?pasword=Pa55w0rd"],
        &["--database", "postgres://shop:Pa55w0rd@127.0.0.1:1/db"],
        &[
            "--database",
            "postgres://shop:Pa55w0rd@127.0.0.1:1/db",
            "--database-listen",
            "postgres://a:Pa55w0rd#@b/c",
        ],
        &["--database", "postgre://shop:Pa55w0rd@127.0.0.1:1/db"],
        &["--database", "shop:Pa55w0rd@127.0.0.1:1/db"],
        &["postgres://shop:Pa55w0rd@127.0.0.1:1/db"],
        &["--databse=postgres://shop:Pa55w0rd@127.0.0.1:1/db"],
        &["--listen", "127.0.0.1:0", "--connections", "postgres://shop:Pa55w0rd@127.0.0.1:1/db"],
    ] {
        let secret = "5a".repeat(32);
        let mut command = crate::process::command(folder.path());
        command.args(args).args(["--database-timeout", "1s"]).env("LICENSE_SECRET", secret);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        assert!(!text.contains("Pa55"), "{args:?}: {text}");
        assert!(!text.is_empty(), "{args:?}");
    }
}

/// Returns the names of the files that contain a text. The files of a running server are read by another
/// process: SQLite would lose its locks only in its own.
fn containing(folder: &Path, text: &str) -> Vec<String> {
    let is_in = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let found = entries.filter(|entry| is_in(&std::fs::read(entry.path()).unwrap()));
    found.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn erased_customer_is_in_no_file() {
    let folder = tempdir().unwrap();
    let server = Server::start_with(folder.path(), &ADMIN, &[]);
    let (email, name) = ("erase.me.please@example.com", "Erasmus-Mustermann");
    let issue = |email: &str, name: &str| {
        let body = json!({"plan": "starter", "customer_email": email, "metadata": {"name": name}});
        server.issue(TOKEN, &body)["id"].as_str().unwrap().to_owned()
    };
    // Among others, so that pages split, and changed, so that there are old versions of the rows.
    for number in 0..60 {
        issue(&format!("other{number}@example.com"), "another name");
        if number % 10 == 0 {
            let id = issue(email, name);
            let metadata = json!({"metadata": {"name": name, "note": "x".repeat(number * 20)}});
            let path = format!("/api/v1/licenses/{id}");
            assert_eq!(server.call("PUT", &path, Some(TOKEN), Some(&metadata)).0, 200);
            for command in ["suspend", "reinstate"] {
                assert_eq!(server.call("POST", &format!("{path}/{command}"), Some(TOKEN), None).0, 200);
            }
        }
    }
    for text in [email, name] {
        assert!(!containing(folder.path(), text).is_empty(), "the files are read");
    }
    let path = format!("/api/v1/customers/{email}");
    assert_eq!(server.call("DELETE", &path, Some(TOKEN), None).0, 200);
    // If a reader was busy, the log is truncated a moment later.
    while std::fs::metadata(folder.path().join("licenses.db-wal")).unwrap().len() > 0 {
        std::thread::yield_now();
    }
    for text in [email, name] {
        assert_eq!(containing(folder.path(), text), [""; 0], "{text} while the server runs");
    }
    assert_eq!(server.stop("-INT").0, Some(0));
    for text in [email, name] {
        assert_eq!(containing(folder.path(), text), [""; 0], "{text} after the stop");
    }
}

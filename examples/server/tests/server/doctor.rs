//! `license-server doctor`: each seeded fault is named, with the sentence that helps.

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::Value;
use tempfile::{TempDir, tempdir};
use test_database::TestDatabase;

use crate::backup::execute;
use crate::postgres::node;
use crate::process::{Server, TOKEN, agent, command, starter};

/// The limit of open files differs between machines.
const FEW: [&str; 2] = ["--connections", "16"];

const ENDPOINT: &str = "INSERT INTO endpoints (id, url, event_types, secret, created_at, updated_at, last_event, skip_job_events) \
    VALUES ('whe_1', 'http://127.0.0.1:1/hook', '[]', X'00', 0, 0, 0, 0); ";

/// Runs the doctor with flags before the command. Returns its exit code and its output.
fn doctor(folder: &Path, flags: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let output =
        command(folder).args(FEW).args(flags).arg("doctor").envs(env.iter().copied()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// Returns a folder with the database of a stopped server.
fn stopped_server() -> TempDir {
    let folder = tempdir().unwrap();
    let server = Server::start_with(folder.path(), &["--admin-token", TOKEN], &[]);
    server.issue(TOKEN, &starter());
    assert_eq!(server.stop("-INT").0, Some(0));
    folder
}

#[test]
fn running_server_without_faults_is_healthy() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path());
    let address = server.url.strip_prefix("http://").unwrap();
    let (code, text) = doctor(folder.path(), &["--listen", address], &[]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "ok       configuration  every setting and its files can be read\n",
        "ok       database       sqlite://licenses.db answers (SQLite 3.",
        "ok       schema         it is 1, that of this version\n",
        "ok       secret         it opens the data keys of the database\n",
        "ok       key_format     keys start with TO\n",
        "ok       clock          ",
        "ok       journal        0 validations wait to be counted\n",
        "ok       deliveries     0 webhook deliveries wait, and none is late\n",
        "skipped  certificate    ",
        "ok       files          ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains(&format!("the server at {address} is ready")), "{text}");
    let output = command(folder.path()).args(FEW).args(["doctor", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.iter().any(|one| one["check"] == "secret" && one["status"] == "ok"), "{report}");
}

/// A fault: what seeds it in the files, flags, and the expected line.
type Fault = (&'static str, &'static [&'static str], &'static str, &'static str);

const FAULTS: &[Fault] = &[
    (
        "",
        &["--plans", "missing.toml"],
        "error    configuration  --plans missing.toml",
        "; correct the setting",
    ),
    (
        "",
        &["--database", "sqlite://none.db"],
        "error    database       ",
        "there is no database none.db; start the server once",
    ),
    (
        "UPDATE license_migrations SET version = 99",
        &[],
        "error    schema         the database has schema 99",
        "install a newer version",
    ),
    (
        "UPDATE license_migrations SET version = 0",
        &[],
        "warning  schema         ",
        "the next start migrates it to 1",
    ),
    (
        "",
        &["--secret-file", "wrong"],
        "error    secret         ",
        "license-server secret check tests a secret",
    ),
    ("", &["--key-prefix", "AB"], "error    key_format     ", "start with TO, not AB: set --key-prefix TO"),
    (
        "UPDATE clock SET heartbeat = 4102444800000000",
        &[],
        "warning  clock          ",
        "or run license-server clock accept",
    ),
    (
        "INSERT INTO journal (at, size, entries) VALUES (0, 600000, '[]')",
        &[],
        "error    journal        600000 validations wait",
        "check that a server runs",
    ),
    (
        "INSERT INTO journal_rejected (id, at, size, entries, reason) VALUES (1, 0, 1, '[', 'no JSON')",
        &[],
        "warning  journal        1 batches could not be read",
        "use one version on all nodes",
    ),
    (
        "INSERT INTO deliveries (endpoint_id, position, license_id, sequence, status, tries, due_at, created_at, attempts) \
             VALUES ('whe_1', 1, 'lic_1', 1, 'pending', 0, 5, 5, '[]')",
        &[],
        "warning  deliveries     1 webhook deliveries wait, the first since 1970-01-01T00:00:00Z",
        "check that a server runs, and its log",
    ),
    ("", &["--webhook-allow-http"], "warning  webhooks       whe_1 ", "not on the public internet"),
    (
        "",
        &["--webhook-allow-http", "--webhook-allow", "127.0.0.0/8"],
        "warning  webhooks       whe_1 does not accept a connection: Connection refused",
        "check its URL",
    ),
    (
        "",
        &["--tls-cert", "ended.pem", "--tls-key", "key.pem"],
        "error    certificate    ended.pem ended at 2020-01-02",
        "renew it",
    ),
    ("", &["--connections", "2000000000"], "warning  open_files     the limit is ", "LimitNOFILE of systemd"),
    ("readable", &[], "warning  files          ", "run: chmod 600 licenses.db"),
];

#[test]
fn every_seeded_fault_is_named_with_its_help() {
    let base = stopped_server();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 2);
    let ended = params.self_signed(&key).unwrap().pem();
    for (sql, flags, line, help) in FAULTS {
        let folder = tempdir().unwrap();
        let folder = folder.path();
        for name in ["licenses.db", "licenses.db.secret"] {
            fs::copy(base.path().join(name), folder.join(name)).unwrap();
        }
        fs::write(folder.join("wrong"), "ab".repeat(32)).unwrap();
        fs::write(folder.join("ended.pem"), &ended).unwrap();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        let database = folder.join("licenses.db");
        execute(&database, ENDPOINT);
        match *sql {
            "" => {}
            "readable" => {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
                fs::set_permissions(&database, mode).unwrap();
            }
            sql => execute(&database, sql),
        }
        let mut doctor = command(folder);
        if flags.first() != Some(&FEW[0]) {
            doctor.args(FEW);
        }
        let output = doctor.args(*flags).arg("doctor").output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let found = text.lines().find(|found| found.starts_with(line));
        assert!(found.is_some_and(|found| found.contains(help)), "{line} … {help}:\n{text}");
        let code = i32::from(text.lines().any(|line| line.starts_with("error")));
        assert_eq!(output.status.code(), Some(code), "{text}");
    }
}

#[test]
fn proxy_that_is_not_trusted_is_named() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path());
    let call = agent().get(format!("{}/health", server.url)).header("X-Forwarded-For", "198.51.100.7").call();
    assert_eq!(call.unwrap().status(), 200);
    let address = server.url.strip_prefix("http://").unwrap();
    let (code, text) = doctor(folder.path(), &["--listen", address], &[]);
    assert_eq!(code, Some(0), "a warning is no error: {text}");
    assert!(
        text.contains("warning  proxy          ") && text.contains("name the proxy by --trusted-proxy"),
        "{text}"
    );
}

#[tokio::test]
async fn postgres_is_inspected_and_a_lost_change_stream_is_named() {
    let Some(database) = TestDatabase::new().await else { return };
    let Some(pooled) = database.pgbouncer_url() else { return };
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let secret = "5a".repeat(32);
    let env = [("LICENSE_SECRET", secret.as_str())];
    drop(node(folder, &database.url()));
    let (code, text) = doctor(folder, &["--database", &database.url()], &env);
    assert_eq!(code, Some(0), "{text}");
    for part in ["answers (PostgreSQL ", "ok       changes        nodes hear", "ok       secret         "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let through = ["--database", pooled.as_str(), "--database-pooler"];
    let (code, text) = doctor(folder, &through, &env);
    assert_eq!(code, Some(1), "{text}");
    let lost = text.lines().find(|line| line.starts_with("error    changes        "));
    assert!(lost.is_some_and(|line| line.contains("set --database-listen")), "{text}");
    let (code, text) =
        doctor(folder, &[&through[..], &["--database-listen", &database.url()]].concat(), &env);
    assert_eq!((code, text.contains("ok       changes        ")), (Some(0), true), "{text}");

    let unreachable = "postgres://user:hunter2@127.0.0.1:1/none";
    let (code, text) = doctor(folder, &["--database", unreachable], &env);
    assert_eq!((code, text.contains("hunter2")), (Some(1), false), "{text}");
    assert!(text.contains("check the address, the user and the password in --database"), "{text}");
}

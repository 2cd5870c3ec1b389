//! `license-server verify`, and backups of PostgreSQL by its own programs.

use std::path::Path;

use serde_json::{Value, json};
use sqlx::Executor;
use tempfile::tempdir;
use test_database::{TestDatabase, program};

use crate::backup::{execute, run};
use crate::postgres::node;
use crate::process::{Server, TOKEN, command, failure, starter};

/// Runs `license-server verify`. Returns its exit code and its output.
fn verify(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = command(folder).arg("verify").args(args).envs(env.iter().copied()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn is_valid(server: &Server, key: &Value) -> bool {
    let request = json!({"key": key, "domain": "a.com"});
    server.call("POST", "/api/v1/validate", None, Some(&request)).1["valid"] == true
}

#[test]
fn database_is_verified_while_the_server_runs() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let server = Server::start_with(folder, &["--admin-token", TOKEN], &[]);
    let license = server.issue(TOKEN, &starter());
    assert!(is_valid(&server, &license["key"]));
    let (code, text) = verify(folder, &[], &[]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "ok      integrity         the pages and indexes of the file are whole\n",
        "ok      keys              the data keys open",
        "rows: licenses 1, activations 1,",
        "sqlite://licenses.db is whole\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    run(folder, &["backup", "--with-secret", "backup.db"]);
    assert!(is_valid(&server, &license["key"]), "the server still works");
    assert_eq!(server.stop("-INT").0, Some(0));

    let (code, text) = verify(folder, &["backup.db", "--json"], &[]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, &report["ok"], &report["rows"]["licenses"]),
        (Some(0), &json!(true), &json!(1)),
        "{text}"
    );

    execute(&folder.join("backup.db"), "UPDATE licenses SET devices_used = 5");
    let (code, text) = verify(folder, &["backup.db"], &[]);
    let id = license["id"].as_str().unwrap();
    let expected = format!("FAULT   slots             {id}: devices_used is 5, but it has 0 devices\n");
    assert_eq!((code, text.contains(&expected)), (Some(1), true), "{text}");
    assert!(text.ends_with("sqlite://backup.db has faults: 1 check failed\n"), "{text}");
    let (_, text) = verify(folder, &["backup.db", "--json"], &[]);
    let report: Value = serde_json::from_str(&text).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let slots = checks.iter().find(|check| check["name"] == "slots").unwrap();
    assert_eq!((&slots["result"], &slots["faults"]), (&json!("failed"), &json!(1)), "{text}");
    assert_eq!(slots["examples"][0]["subject"], license["id"]);
}

#[test]
fn secret_of_the_file_comes_before_that_of_the_database() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    drop(Server::start(folder));
    run(folder, &["backup", "backup.db"]);
    assert_eq!(verify(folder, &["backup.db"], &[]).0, Some(0), "the secret of the database");
    let (code, text) = verify(folder, &["backup.db", "--database", "sqlite://other.db"], &[]);
    assert_eq!((code, text.contains("skipped keys              ")), (Some(0), true), "{text}");
    std::fs::write(folder.join("backup.db.secret"), "ab".repeat(32)).unwrap();
    let (code, text) = verify(folder, &["backup.db"], &[]);
    assert_eq!(
        (code, text.contains("FAULT   secret            data_keys: the secret does not fit")),
        (Some(1), true),
        "{text}"
    );
    let message = failure(folder, &["verify", "none.db"], &[]);
    assert!(message.contains("there is no database none.db"), "{message}");
    let message = failure(folder, &["verify", "--database", "memory:"], &[]);
    assert!(message.contains("it belongs to one process"), "{message}");
}

/// Returns the URL without the parameters that only the driver of the server knows.
fn plain(database: &TestDatabase) -> String {
    database.url().split('?').next().unwrap().to_owned()
}

/// The commands of docs/operations.md: a dump, and its restoration into an empty database.
#[tokio::test]
async fn restored_dump_of_postgres_is_whole_and_its_keys_are_valid() {
    let (Some(database), Some(target)) = (TestDatabase::new().await, TestDatabase::new().await) else {
        return;
    };
    let (Some(mut dump), Some(mut restore)) = (program("pg_dump"), program("pg_restore")) else { return };
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let server = node(folder, &database.url());
    let license = server.issue(TOKEN, &starter());
    assert!(is_valid(&server, &license["key"]));
    let secret = "5a".repeat(32);
    let verify = |url: &str| verify(folder, &["--database", url], &[("LICENSE_SECRET", secret.as_str())]);
    let (code, text) = verify(&database.url());
    assert_eq!((code, text.contains("is whole")), (Some(0), true), "{text}");
    assert!(!text.contains(database.url().split(['@', ':']).nth(2).unwrap()), "no password: {text}");

    let file = folder.join("licenses.dump");
    let dumped = dump.args(["--format=custom", "--file"]).arg(&file).arg(plain(&database)).output().unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    let later = server.issue(TOKEN, &starter());
    drop(server);
    let restored = restore
        .args(["--clean", "--if-exists", "--exit-on-error", "--dbname"])
        .arg(plain(&target))
        .arg(&file);
    let restored = restored.output().unwrap();
    assert!(restored.status.success(), "{restored:?}");
    let (code, text) = verify(&target.url());
    assert_eq!((code, text.contains("is whole")), (Some(0), true), "{text}");
    let server = node(folder, &target.url());
    assert!(is_valid(&server, &license["key"]) && !is_valid(&server, &later["key"]));

    let mut connection = target.connect().await;
    connection.execute("UPDATE licenses SET domains_used = 3").await.unwrap();
    let (code, text) = verify(&target.url());
    assert_eq!((code, text.contains("domains_used is 3, but it has 1 domains")), (Some(1), true), "{text}");
    // A dump that was restored in part has no schema.
    connection.execute("DROP TABLE license_migrations").await.unwrap();
    let (code, text) = verify(&target.url());
    assert_eq!((code, text.contains("it has no tables of license-server")), (Some(1), true), "{text}");
}

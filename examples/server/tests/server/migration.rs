//! `license-server migrate`, and starts that may not migrate.

use std::path::Path;
use std::process::Output;

use sqlx::{Connection, Executor, PgConnection, Row};
use tempfile::tempdir;
use test_database::TestDatabase;

use crate::process::{BINARY, Server, command, command_of, failure};

/// Runs `migrate`. Returns its exit code and its output.
fn migrate(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = command(folder).arg("migrate").args(args).envs(env.iter().copied()).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn count_of_tables(raw: &mut PgConnection) -> i64 {
    let count = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'";
    raw.fetch_one(count).await.unwrap().get(0)
}

#[tokio::test]
async fn schema_is_migrated_apart_from_the_start() {
    let Some(database) = TestDatabase::new().await else { return };
    let mut raw = database.connect().await;
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let (url, secret) = (database.url(), "5a".repeat(32));
    let env = [("LICENSE_DATABASE", url.as_str()), ("LICENSE_SECRET", secret.as_str())];
    let off = [&env[..], &[("LICENSE_MIGRATE", "off")]].concat();
    let empty = "the database is empty, but this version needs schema 1; migrate it first, with license-server migrate";
    for args in [&[][..], &["token", "list"], &["secret", "check"]] {
        let error = failure(folder, args, &off);
        assert!(error.contains(empty), "{args:?}: {error}");
    }
    let (code, text) = migrate(folder, &["--check"], &env);
    assert_eq!((code, text.contains("is empty, but this version needs schema 1")), (Some(1), true), "{text}");
    assert_eq!(count_of_tables(&mut raw).await, 0);

    let (code, text) = migrate(folder, &[], &env);
    assert_eq!((code, text.contains("is migrated from schema 0 to 1")), (Some(0), true), "{text}");
    for args in [&["--check"][..], &[]] {
        let (code, text) = migrate(folder, args, &env);
        assert_eq!((code, text.contains("has the schema of this version")), (Some(0), true), "{text}");
    }
    drop(Server::start_with(folder, &[], &off));

    raw.execute("INSERT INTO license_migrations SELECT 2, 'later', installed_on, success, checksum, 0 FROM license_migrations")
        .await
        .unwrap();
    for args in [&["migrate", "--check"][..], &["migrate"], &[]] {
        let error = failure(folder, args, &env);
        assert!(error.contains("has schema 2, but this version supports schemas up to 1"), "{error}");
    }
}

/// The kill comes while the migration waits for a table that another session is creating.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn killed_migration_changes_nothing() {
    let Some(database) = TestDatabase::new().await else { return };
    let (mut raw, mut other) = (database.connect().await, database.connect().await);
    let folder = tempdir().unwrap();
    let url = database.url();
    let env = [("LICENSE_DATABASE", url.as_str())];
    let mut creating = other.begin().await.unwrap();
    creating.execute("CREATE TABLE deliveries (id INT)").await.unwrap();
    let mut running = command(folder.path()).arg("migrate").envs(env).spawn().unwrap();
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while raw.fetch_one(waits).await.unwrap().get::<i64, _>(0) == 0 {
        std::thread::yield_now();
    }
    running.kill().unwrap();
    running.wait().unwrap();
    creating.rollback().await.unwrap();
    // The server of the database ends the session when it finds its client gone.
    while raw.fetch_one(waits).await.unwrap().get::<i64, _>(0) > 0 {
        std::thread::yield_now();
    }
    let (code, text) = migrate(folder.path(), &[], &env);
    assert_eq!((code, text.contains("is migrated from schema 0 to 1")), (Some(0), true), "{text}");
    assert!(count_of_tables(&mut raw).await > 20);
}

#[test]
fn missing_file_is_not_created() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let error = failure(folder, &["migrate"], &[]);
    assert!(error.contains("sqlite://licenses.db does not exist; start the server once"), "{error}");
    let error = failure(folder, &["--migrate", "off"], &[]);
    assert!(error.contains("does not exist; start once with --migrate on to create it"), "{error}");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
    drop(Server::start(folder));
    assert_eq!(migrate(folder, &["--check"], &[]).0, Some(0));
}

/// A first start on a full disk fails with one line, and the next one, with space, works.
#[cfg(target_os = "linux")]
#[test]
fn full_disk_at_the_first_start_can_be_repeated() {
    for bytes in [0, 64, 4096, 65_536, 200_000] {
        for signal in ["trap '' XFSZ;", ""] {
            let folder = tempdir().unwrap();
            let path = folder.path();
            let script = format!("{signal} exec prlimit --fsize={bytes} \"$0\"");
            let Output { status, stderr, .. } =
                command_of("sh", path).args(["-c", &script, BINARY]).output().unwrap();
            let stderr = String::from_utf8(stderr).unwrap();
            assert!(!status.success());
            if !signal.is_empty() {
                assert_eq!((status.code(), stderr.lines().count()), (Some(2), 1), "{bytes}: {stderr}");
            }
            let server = Server::start_with(path, &["--create"], &[]);
            assert!(server.token.is_some(), "a first start, after {bytes} bytes");
        }
    }
}

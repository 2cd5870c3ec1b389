//! Backups and their restoration, from the command line.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use tempfile::{TempDir, tempdir};

use crate::process::{BINARY, Server, TOKEN, command, command_of, failure, starter};

pub(crate) const ADMIN: [&str; 2] = ["--admin-token", TOKEN];

/// Runs a command that must succeed. Returns its output.
pub(crate) fn run(folder: &Path, args: &[&str]) -> String {
    let Output { status, stdout, stderr } = command(folder).args(args).output().unwrap();
    assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Returns a folder with a database that has a license, and the id of the license. No server is running.
pub(crate) fn stopped_server() -> (TempDir, String) {
    let folder = tempdir().unwrap();
    let server = Server::start_with(folder.path(), &ADMIN, &[]);
    let id = server.issue(TOKEN, &starter())["id"].as_str().unwrap().to_owned();
    assert_eq!(server.stop("-INT").0, Some(0));
    (folder, id)
}

/// Returns whether the server of a folder has a license.
pub(crate) fn has(folder: &Path, database: &str, id: &str) -> bool {
    let url = format!("sqlite://{database}");
    let server = Server::start_with(folder, &["--database", &url, ADMIN[0], ADMIN[1]], &[]);
    let status = server.call("GET", &format!("/api/v1/licenses/{id}"), Some(TOKEN), None).0;
    assert_eq!(server.stop("-INT").0, Some(0));
    status == 200
}

pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

/// Returns the names of what backups to a file have not finished.
pub(crate) fn unfinished(folder: &Path, file: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(&format!("{file}.unfinished-"))).collect()
}

/// Runs SQL on a database that no server has open.
pub(crate) fn execute(path: &Path, sql: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        connection.execute(sql).await.unwrap();
        connection.close().await.unwrap();
    });
}

#[test]
fn backup_has_everything_acknowledged_before_it() {
    let folder = tempdir().unwrap();
    let path = folder.path();
    let server = Server::start_with(path, &ADMIN, &[]);
    let (issued, is_done) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    // Bounded, so that a failed backup ends the test.
    let issue = || {
        for _ in 0..2_000 {
            if is_done.load(Ordering::Relaxed) {
                break;
            }
            let id = server.issue(TOKEN, &starter())["id"].as_str().unwrap().to_owned();
            issued.lock().unwrap().push(id);
        }
    };
    let backups: Vec<_> = std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(issue);
        }
        let backups = (1..=3).map(|round| {
            while issued.lock().unwrap().len() < round * 30 {
                std::thread::yield_now();
            }
            let before = issued.lock().unwrap().clone();
            let name = format!("backup-{round}.db");
            let said = run(path, &["backup", "--with-secret", &name]);
            assert!(said.lines().last().unwrap().contains(&format!("{name}.secret")), "{said}");
            (name, before)
        });
        let backups = backups.collect();
        is_done.store(true, Ordering::Relaxed);
        backups
    });
    server.kill();
    for (name, before) in backups {
        for file in [name.clone(), format!("{name}.secret")] {
            let mode = std::fs::metadata(path.join(&file)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{file}");
        }
        let database = format!("sqlite://{name}");
        let server = Server::start_with(path, &["--database", &database, ADMIN[0], ADMIN[1]], &[]);
        for id in before {
            let license = server.license(TOKEN, &id);
            let body = json!({"key": license["key"]});
            assert_eq!(server.call("POST", "/api/v1/validate", None, Some(&body)).1["valid"], true);
        }
    }
}

#[test]
fn backup_says_where_the_secret_is() {
    let (folder, _) = stopped_server();
    let said = run(folder.path(), &["backup", "backup.db"]);
    assert!(said.lines().last().unwrap().contains("its secret is licenses.db.secret"), "{said}");
    let secret = "5a".repeat(32);
    let said =
        command(folder.path()).args(["backup", "b.db"]).env("LICENSE_SECRET", secret).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.lines().last().unwrap().contains("its secret is LICENSE_SECRET"), "{said}");
    let (names, mut expected) = (files(folder.path()), vec!["b.db", "backup.db", "licenses.db"]);
    expected.push("licenses.db.secret");
    assert_eq!(names.keys().collect::<Vec<_>>(), expected, "neither secrets nor logs");
}

#[test]
fn failed_backup_changes_no_file() {
    let (folder, _) = stopped_server();
    let path = folder.path();
    std::fs::write(path.join("taken.db"), "something").unwrap();
    std::fs::write(path.join("free.db.secret"), "something").unwrap();
    std::fs::write(path.join("zero.db"), "").unwrap();
    let before = files(path);
    for (args, part) in [
        (&["backup", "taken.db"][..], "taken.db exists already"),
        (&["backup", "licenses.db"], "licenses.db exists already"),
        (&["backup", "--with-secret", "free.db"], "free.db.secret exists already"),
        (&["backup", "missing/backup.db"], "No such file or directory"),
        (&["backup", "b.db", "--database", "sqlite://other.db"], "there is no database other.db"),
        (&["backup", "b.db", "--database", "sqlite://zero.db"], "there is no database zero.db"),
        (&["backup", "b.db", "--database", "sqlite://taken.db"], "file is not a database"),
        (&["backup", "b.db", "--database", "memory:"], "belongs to one process"),
        (&["backup", "b.db", "--database", "postgres://db/name"], "pg_dump"),
        (
            &["backup", "--with-secret", "b.db", "--database", "sqlite://taken.db"],
            "taken.db.secret is missing",
        ),
    ] {
        let message = failure(path, args, &[]);
        assert!(message.contains(part), "{args:?}: {message}");
        assert!(files(path) == before, "{args:?} changed a file: {:?}", files(path).keys());
    }
}

#[test]
fn restored_database_is_the_backup() {
    let (folder, id) = stopped_server();
    let path = folder.path();
    run(path, &["backup", "backup.db"]);
    // The server is killed, so its last changes are in the log, which must not survive.
    let server = Server::start_with(path, &ADMIN, &[]);
    let later = server.issue(TOKEN, &starter())["id"].as_str().unwrap().to_owned();
    server.kill();
    assert!(std::fs::metadata(path.join("licenses.db-wal")).unwrap().len() > 0);
    let said = run(path, &["restore", "--force", "backup.db"]);
    assert!(said.lines().last().unwrap().contains("its secret must be licenses.db.secret"), "{said}");
    assert!(!path.join("licenses.db-wal").exists());
    assert!(has(path, "licenses.db", &id));
    assert!(!has(path, "licenses.db", &later));
    assert!(path.join("backup.db").exists(), "the backup stays");
}

#[test]
fn restore_elsewhere_takes_the_secret_along() {
    let (folder, id) = stopped_server();
    let path = folder.path();
    run(path, &["backup", "--with-secret", "backup.db"]);
    let said = run(path, &["restore", "backup.db", "--database", "sqlite://new.db"]);
    assert!(said.lines().last().unwrap().contains("its secret is restored to new.db.secret"), "{said}");
    assert!(has(path, "new.db", &id));
    // Without the secret, the command says what is missing.
    std::fs::remove_file(path.join("backup.db.secret")).unwrap();
    let said = run(path, &["restore", "backup.db", "--database", "sqlite://third.db"]);
    assert!(said.contains("its secret is missing: restore third.db.secret"), "{said}");
}

#[test]
fn restore_refuses_what_would_lose_data() {
    let (folder, id) = stopped_server();
    let path = folder.path();
    run(path, &["backup", "backup.db"]);
    for (name, sql) in [
        ("later.db", "UPDATE license_migrations SET version = 99"),
        ("other.db", "DROP TABLE license_migrations"),
    ] {
        std::fs::copy(path.join("backup.db"), path.join(name)).unwrap();
        execute(&path.join(name), sql);
    }
    let mut damaged = std::fs::read(path.join("backup.db")).unwrap();
    let last_page = damaged.len() - 4096;
    damaged[last_page..].fill(0x5a);
    std::fs::write(path.join("one-page.db"), &damaged).unwrap();
    damaged[4096..].fill(0x5a);
    std::fs::write(path.join("damaged.db"), damaged).unwrap();
    std::fs::copy(path.join("backup.db"), path.join("copied.db")).unwrap();
    std::fs::write(path.join("copied.db-wal"), "a log").unwrap();
    std::fs::write(path.join("text.db"), "this is no database, however long it is. ".repeat(50)).unwrap();
    std::fs::write(path.join("zero.db"), "").unwrap();
    std::fs::copy(path.join("backup.db"), path.join("differs.db")).unwrap();
    std::fs::write(path.join("differs.db.secret"), "ab".repeat(32)).unwrap();
    let before = files(path);
    for (args, part) in [
        (&["restore", "backup.db"][..], "licenses.db has data already; --force replaces it"),
        (&["restore", "--force", "missing.db"], "missing.db: No such file"),
        (&["restore", "--force", "licenses.db"], "it is the database itself"),
        (&["restore", "--force", "later.db"], "later.db has schema 99, but this version restores schema 1"),
        (
            &["restore", "--force", "other.db"],
            "other.db is not a backup of a license database: it has no tables",
        ),
        (
            &["restore", "--force", "one-page.db"],
            "one-page.db is not a backup of a license database: it is damaged",
        ),
        (&["restore", "--force", "damaged.db"], "damaged.db is not a backup of a license database"),
        (&["restore", "--force", "copied.db"], "it has a log, copied.db-wal"),
        (&["restore", "--force", "text.db"], "file is not a database"),
        (&["restore", "--force", "zero.db"], "it is empty"),
        (&["restore", "--force", "."], "it is a folder"),
        (&["restore", "--force", "differs.db"], "differs.db.secret and licenses.db.secret differ"),
        (&["restore", "backup.db", "--database", "sqlite://missing/licenses.db"], "No such file"),
        (&["restore", "backup.db", "--database", "postgres://db/name"], "pg_restore"),
    ] {
        let message = failure(path, args, &[]);
        assert!(message.contains(part), "{args:?}: {message}");
        assert!(files(path) == before, "{args:?} changed a file: {:?}", files(path).keys());
    }
    let server = Server::start_with(path, &ADMIN, &[]);
    let message = failure(path, &["restore", "--force", "backup.db"], &[]);
    assert!(message.contains("licenses.db is in use; stop the server first"), "{message}");
    server.issue(TOKEN, &starter());
    server.license(TOKEN, &id);
    assert_eq!(server.stop("-INT").0, Some(0));
}

#[test]
fn copy_beside_an_old_log_is_explained() {
    let (folder, id) = stopped_server();
    let path = folder.path();
    run(path, &["backup", "backup.db"]);
    let server = Server::start_with(path, &ADMIN, &[]);
    for _ in 0..30 {
        server.issue(TOKEN, &starter());
    }
    server.kill();
    let log = std::fs::read(path.join("licenses.db-wal")).unwrap();
    std::fs::copy(path.join("backup.db"), path.join("licenses.db")).unwrap();
    let message = failure(path, &[], &[]);
    for part in
        ["does not fit its log", "license-server restore --force FILE --database sqlite://licenses.db"]
    {
        assert!(message.contains(part), "{message}");
    }
    run(path, &["restore", "--force", "backup.db"]);
    assert!(has(path, "licenses.db", &id));
    // The log of a missing database may have its last changes.
    std::fs::remove_file(path.join("licenses.db")).unwrap();
    std::fs::write(path.join("licenses.db-wal"), &log).unwrap();
    let message = failure(path, &["restore", "backup.db"], &[]);
    assert!(message.contains("licenses.db-wal has data already; --force replaces it"), "{message}");
    assert_eq!(std::fs::read(path.join("licenses.db-wal")).unwrap(), log);
    run(path, &["restore", "--force", "backup.db"]);
    assert!(!path.join("licenses.db-wal").exists());
    assert!(has(path, "licenses.db", &id));
}

#[cfg(target_os = "linux")]
#[test]
fn killed_backup_or_restore_leaves_the_old_state() {
    let (folder, id) = stopped_server();
    let path = folder.path();
    run(path, &["backup", "good.db"]);
    let whole = std::fs::metadata(path.join("good.db")).unwrap().len();
    let old = std::fs::read(path.join("licenses.db")).unwrap();
    for bytes in [0, 1, 4096, 65_536, whole - 1] {
        for args in [&["backup", "backup.db"][..], &["restore", "--force", "good.db"]] {
            // The signal SIGXFSZ kills a process that writes behind the limit.
            let mut killed = command_of("prlimit", path);
            let status =
                killed.arg(format!("--fsize={bytes}")).arg(BINARY).args(args).output().unwrap().status;
            assert_eq!(status.signal(), Some(25), "{args:?} at {bytes} bytes: {status:?}");
            assert!(!path.join("backup.db").exists(), "no incomplete backup has the name");
            let target = if args[0] == "backup" { "backup.db" } else { "licenses.db" };
            assert_eq!(unfinished(path, target).len(), 1, "{args:?}: those of earlier rounds are removed");
            assert!(std::fs::read(path.join("licenses.db")).unwrap() == old, "{args:?} at {bytes} bytes");
        }
        // As on a full disk, the write fails.
        let mut full = command_of("sh", path);
        let script = format!("trap '' XFSZ; exec prlimit --fsize={bytes} \"$0\" backup backup.db");
        let Output { status, stderr, .. } = full.args(["-c", &script, BINARY]).output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!((status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
        assert!(!path.join("backup.db").exists());
    }
    // A folder that a running backup has locked is named, and stays.
    let running = path.join("backup.db.unfinished-0");
    std::fs::create_dir(&running).unwrap();
    let lock = std::fs::File::open(&running).unwrap();
    lock.lock().unwrap();
    let said = run(path, &["backup", "backup.db"]);
    assert!(said.contains("backup.db.unfinished-0 is left from a backup that was killed"), "{said}");
    run(path, &["restore", "--force", "good.db"]);
    assert_eq!(unfinished(path, "backup.db"), ["backup.db.unfinished-0"]);
    assert_eq!(unfinished(path, "licenses.db"), [""; 0]);
    assert!(has(path, "licenses.db", &id));
}

/// The secret beside the backup, that of the database, and that of the environment are checked.
#[test]
fn restore_with_the_wrong_secret_changes_nothing() {
    let (folder, _) = stopped_server();
    let path = folder.path();
    run(path, &["backup", "backup.db"]);
    let wrong = "ab".repeat(32);
    std::fs::write(path.join("backup.db.secret"), &wrong).unwrap();
    std::fs::write(path.join("other.db.secret"), &wrong).unwrap();
    std::fs::copy(path.join("backup.db"), path.join("moved.db")).unwrap();
    let before = files(path);
    let refused = "is not the secret of";
    for (args, environment, source) in [
        (&["restore", "backup.db", "--database", "sqlite://new.db"][..], None, "backup.db.secret"),
        (&["restore", "moved.db", "--database", "sqlite://other.db"], None, "other.db.secret"),
        (&["restore", "moved.db", "--database", "sqlite://new.db"], Some(&wrong), "LICENSE_SECRET"),
    ] {
        let environment: Vec<_> =
            environment.iter().map(|secret| ("LICENSE_SECRET", secret.as_str())).collect();
        let message = failure(path, args, &environment);
        assert!(message.contains(&format!("{source} {refused}")), "{args:?}: {message}");
        let after = files(path);
        assert!(after == before, "{args:?} changed a file: {:?}", after.keys());
    }
}

/// A link to a database on another disk stays a link.
#[test]
fn restore_follows_a_link() {
    let (folder, id) = stopped_server();
    let path = folder.path();
    run(path, &["backup", "backup.db"]);
    std::fs::create_dir(path.join("disk")).unwrap();
    std::fs::rename(path.join("licenses.db"), path.join("disk/real.db")).unwrap();
    std::os::unix::fs::symlink("disk/real.db", path.join("licenses.db")).unwrap();
    run(path, &["restore", "--force", "backup.db"]);
    assert!(std::fs::symlink_metadata(path.join("licenses.db")).unwrap().is_symlink());
    assert_eq!(
        std::fs::read(path.join("disk/real.db")).unwrap(),
        std::fs::read(path.join("backup.db")).unwrap()
    );
    assert!(has(path, "licenses.db", &id));
}

/// The running server still has the removed log, but a backup cannot read it.
#[test]
fn backup_after_the_log_was_lost_fails_or_is_complete() {
    let folder = tempdir().unwrap();
    let path = folder.path();
    let server = Server::start_with(path, &ADMIN, &[]);
    // A reader keeps the server from moving later changes from the log into the database.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reader = runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(path.join("licenses.db"));
        let mut reader = options.connect().await.unwrap();
        reader.execute("BEGIN; SELECT COUNT(*) FROM licenses").await.unwrap();
        reader
    });
    let ids: Vec<_> = (0..20).map(|_| server.issue(TOKEN, &starter())["id"].clone()).collect();
    std::fs::remove_file(path.join("licenses.db-wal")).unwrap();
    let output = command(path).args(["backup", "--with-secret", "backup.db"]).output().unwrap();
    assert_eq!(output.status.success(), path.join("backup.db").exists());
    runtime.block_on(reader.close()).unwrap();
    assert_eq!(server.stop("-INT").0, Some(0));
    let mut databases = vec!["licenses.db"];
    databases.extend(output.status.success().then_some("backup.db"));
    for database in databases {
        let url = format!("sqlite://{database}");
        let server = Server::start_with(path, &["--database", &url, ADMIN[0], ADMIN[1]], &[]);
        for id in &ids {
            server.license(TOKEN, id.as_str().unwrap());
        }
    }
}

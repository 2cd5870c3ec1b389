//! Restorations that are refused, killed, or find no room.

#[cfg(target_os = "linux")]
use std::os::unix::process::ExitStatusExt;

#[cfg(target_os = "linux")]
use tempfile::tempdir;

#[cfg(target_os = "linux")]
use crate::backup::{ADMIN, unfinished};
use crate::backup::{execute, files, has, run, stopped_server};
use crate::process::failure;
#[cfg(target_os = "linux")]
use crate::process::{BINARY, Server, TOKEN, command_of, starter};

/// The backup is smaller than the database, whose last changes are in the log of a killed server. At each
/// limit, a restoration stops at another point: while it copies, while it moves the log into the
/// database, or not at all.
#[cfg(target_os = "linux")]
#[test]
fn stopped_restore_loses_nothing_and_can_be_repeated() {
    let (folder, id) = stopped_server();
    let path = folder.path();
    run(path, &["backup", "--with-secret", "good.db"]);
    let server = Server::start_with(path, &ADMIN, &[]);
    let mut later = String::new();
    for _ in 0..100 {
        later = server.issue(TOKEN, &starter())["id"].as_str().unwrap().to_owned();
    }
    server.kill();
    let whole = std::fs::metadata(path.join("good.db")).unwrap().len();
    for bytes in [1, whole / 2, whole, whole + 8192] {
        for trap in ["", "trap '' XFSZ;"] {
            let case = tempdir().unwrap();
            let case = case.path();
            for name in ["good.db", "good.db.secret", "licenses.db", "licenses.db-wal", "licenses.db.secret"]
            {
                std::fs::copy(path.join(name), case.join(name)).unwrap();
            }
            // The signal kills the process that writes behind the limit. Without it, the write fails, as
            // on a full disk.
            let script = format!("{trap} exec prlimit --fsize={bytes} \"$0\" restore --force good.db");
            let output = command_of("sh", case).args(["-c", &script, BINARY]).output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            let stopped = if trap.is_empty() {
                output.status.signal() == Some(25)
            } else {
                output.status.code() == Some(2) && stderr.lines().count() == 1
            };
            assert!(stopped, "{trap} at {bytes} bytes: {:?}: {stderr}", output.status);
            assert!(has(case, "licenses.db", &later), "{trap} at {bytes} bytes: a change was lost");
            run(case, &["restore", "--force", "good.db"]);
            assert!(has(case, "licenses.db", &id) && !has(case, "licenses.db", &later));
        }
    }
}

/// The secret is there before the database, so that a killed restoration is repeated as it was.
#[cfg(target_os = "linux")]
#[test]
fn killed_restore_elsewhere_is_explained_and_can_be_repeated() {
    let (folder, id) = stopped_server();
    let path = folder.path();
    run(path, &["backup", "--with-secret", "good.db"]);
    let restore = ["restore", "good.db", "--database", "sqlite://new.db"];
    let mut killed = command_of("prlimit", path);
    let status = killed.args(["--fsize=4096", BINARY]).args(restore).output().unwrap().status;
    assert_eq!(status.signal(), Some(25), "{status:?}");
    assert!(path.join("new.db.secret").exists() && !path.join("new.db").exists());
    let message = failure(path, &["--database", "sqlite://new.db"], &[]);
    assert!(message.contains("license-server restore FILE"), "{message}");
    run(path, &restore);
    assert_eq!(unfinished(path, "new.db"), [""; 0]);
    assert!(has(path, "new.db", &id));
}

#[test]
fn restore_refuses_a_backup_with_faults() {
    let (folder, id) = stopped_server();
    let path = folder.path();
    run(path, &["backup", "--with-secret", "bad.db"]);
    execute(&path.join("bad.db"), "UPDATE licenses SET devices_used = 5");
    let before = files(path);
    for args in
        [&["restore", "--force", "bad.db"][..], &["restore", "bad.db", "--database", "sqlite://new.db"]]
    {
        let message = failure(path, args, &[]);
        let expected = format!(
            "bad.db has faults: slots: {id}: devices_used is 5, but it has 0 devices; nothing was restored"
        );
        assert!(message.contains(&expected) && message.contains("--accept-faults"), "{message}");
        assert!(files(path) == before, "{args:?} changed a file");
    }
    run(path, &["restore", "--force", "--accept-faults", "bad.db"]);
    assert!(has(path, "licenses.db", &id));
}

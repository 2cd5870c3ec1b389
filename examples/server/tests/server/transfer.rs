//! `license-server export` and `license-server import`.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};
use std::thread;

use serde_json::{Value, json};
use tempfile::tempdir;
use test_database::TestDatabase;

use crate::process::{Server, command, starter};

const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

/// Runs a command. Returns its exit code, standard output and standard error.
fn run(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        command(folder).args(args).envs(env.iter().copied()).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn exported(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> String {
    let (code, stdout, stderr) = run(folder, &[&["export"], args].concat(), env);
    assert_eq!(code, Some(0), "{stderr}");
    stdout
}

/// Creates a database with three used licenses. Returns their keys.
fn fill(folder: &Path) -> Vec<String> {
    let server = Server::start(folder);
    let token = server.token().to_owned();
    let issue = |n: usize| {
        let license = server.issue(&token, &starter());
        let key = license["key"].as_str().unwrap().to_owned();
        let body = json!({"key": key, "domain": format!("site{n}.com"), "fingerprint": "größe"});
        assert_eq!(server.call("POST", "/api/v1/validate", None, Some(&body)).1["valid"], true);
        key
    };
    let keys = (0..3).map(issue).collect();
    server.stop("-TERM");
    keys
}

fn assert_valid(server: &Server, key: &str) {
    let body = json!({"key": key});
    let (_, verdict) = server.call("POST", "/api/v1/validate", None, Some(&body));
    assert_eq!(verdict["valid"], true, "{verdict}");
}

#[test]
fn database_moves_with_its_secret_or_with_clear_keys() {
    let (from, into, other) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let keys = fill(from.path());
    let file = into.path().join("licenses.jsonl");
    let name = file.to_str().unwrap();
    let (code, stdout, stderr) = run(from.path(), &["export", "--output", name], &[]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", "3 licenses\n"));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(keys.iter().all(|key| !text.contains(key)), "keys are sealed by default");
    assert_eq!(text, exported(from.path(), &[], &[]), "an export is deterministic");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "readable by its owner only");
    }
    let (code, _, stderr) = run(from.path(), &["export", "--output", name], &[]);
    assert_eq!(code, Some(2), "an existing file is not overwritten: {stderr}");
    assert_eq!(text, std::fs::read_to_string(&file).unwrap());

    // Sealed keys cannot be imported without their secret.
    let (code, _, stderr) = run(other.path(), &["import", name], &[]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("line 2: its key was sealed with another secret"), "{stderr}");

    // With the secret, the new database is identical.
    std::fs::copy(from.path().join("licenses.db.secret"), into.path().join("licenses.db.secret")).unwrap();
    let (code, _, stderr) = run(into.path(), &["import", name, "--dry-run"], &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains(
            "3 licenses, 6 activations and 3 rollups would be imported; 0 licenses existed; 0 lines rejected"
        ),
        "{stderr}"
    );
    assert!(!into.path().join("licenses.db").exists(), "a dry run creates nothing");
    let (code, stdout, stderr) = run(into.path(), &["import", name], &[]);
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    assert!(
        stderr.contains(
            "3 licenses, 6 activations and 3 rollups imported; 0 licenses existed; 0 lines rejected"
        ),
        "{stderr}"
    );
    assert_eq!(exported(into.path(), &[], &[]), text);

    // Clear keys can be imported under another secret.
    let clear = exported(from.path(), &["--keys"], &[]);
    std::fs::write(&file, &clear).unwrap();
    let (code, _, stderr) = run(other.path(), &["import", name], &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(exported(other.path(), &["--keys"], &[]), clear);
    assert_ne!(exported(other.path(), &[], &[]), text, "sealed with the new secret");
    for folder in [&into, &other] {
        let server = Server::start(folder.path());
        for key in &keys {
            assert_valid(&server, key);
        }
    }
}

/// During the transfers, servers run on both databases.
#[tokio::test]
async fn database_moves_between_sqlite_and_postgres() {
    let Some(database) = TestDatabase::new().await else { return };
    let (from, back) = (tempdir().unwrap(), tempdir().unwrap());
    let keys = fill(from.path());
    let url = database.url();
    let secret = std::fs::read_to_string(from.path().join("licenses.db.secret")).unwrap();
    let postgres = [("LICENSE_DATABASE", url.as_str()), ("LICENSE_SECRET", secret.trim())];
    let (old, new) = (Server::start(from.path()), Server::start_with(back.path(), &[], &postgres));
    let unknown = json!({"key": keys[0]});
    assert_eq!(
        new.call("POST", "/api/v1/validate", None, Some(&unknown)).0,
        404,
        "the key is cached as unknown"
    );
    let text = exported(from.path(), &[], &[]);
    std::fs::write(back.path().join("l.jsonl"), &text).unwrap();
    let (code, _, stderr) = run(back.path(), &["import", "l.jsonl"], &postgres);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(exported(back.path(), &[], &postgres), text);
    for key in &keys {
        assert_valid(&new, key);
    }
    let secret = [("LICENSE_SECRET", secret.trim())];
    let (code, _, stderr) = run(back.path(), &["import", "l.jsonl"], &secret);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(exported(back.path(), &[], &secret), text);
    for key in &keys {
        assert_valid(&old, key);
    }
}

#[test]
fn csv_with_keys_of_another_system_is_imported() {
    let folder = tempdir().unwrap();
    let table = "Serial,Mail,Tier,Sites\n\
        AAAA-1111,a@example.com,starter,a.com\n\
        BBBB-2222,nobody,starter,\n\
        CCCC-3333,c@example.com,professional,\"c.com, www.d.com\"\n\
        dddd,d@example.com,starter,\n\
        EEEE-5555,e@example.com,gold,\n";
    std::fs::write(folder.path().join("old.csv"), table).unwrap();
    let args =
        ["import", "old.csv", "--map", "Serial=key", "--map", "Mail=customer_email", "--map", "Tier=plan"];
    let args = [&args[..], &["--map", "Sites=domains", "--key-format", "old=[A-Z]{4}-[0-9]{4}"]].concat();
    let faults = "old.csv:3: customer_email: this is not an e-mail address\n\
        old.csv:5: key: it is neither a key of this server nor in a declared key format\n\
        old.csv:6: There is no plan \"gold\". The plans are: enterprise, professional, starter.\n";
    let (code, _, stderr) = run(folder.path(), &[&args[..], &["--dry-run"]].concat(), &[]);
    assert_eq!(code, Some(1), "{stderr}");
    let end =
        "2 licenses, 3 activations and 0 rollups would be imported; 0 licenses existed; 3 lines rejected\n";
    assert_eq!(stderr, format!("{faults}{end}"));
    let (code, stdout, stderr) = run(folder.path(), &args, &[]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.contains(faults), "{stderr}");
    let (code, _, stderr) = run(folder.path(), &args, &[]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.ends_with(
            "0 licenses, 0 activations and 0 rollups imported; 2 licenses existed; 3 lines rejected\n"
        ),
        "{stderr}"
    );

    let server = Server::start(folder.path());
    assert_valid(&server, "AAAA-1111");
    assert_valid(&server, " AAAA-1111\r\n");
    for (key, status, code) in [
        ("AAAA-1112", 404, "LICENSE_NOT_FOUND"),
        ("aaaa-1111", 400, "LICENSE_KEY_MALFORMED"),
        ("AAAA 1111", 400, "LICENSE_KEY_MALFORMED"),
        ("TO-7K3F-M2QA-ZZ81-94FX", 400, "LICENSE_KEY_MALFORMED"),
    ] {
        let (found, body) = server.call("POST", "/api/v1/validate", None, Some(&json!({"key": key})));
        assert_eq!((found, &body["error"]), (status, &json!(code)), "{key}");
    }
    let (_, found) = server.call("GET", "/api/v1/licenses", Some(server.token()), None);
    let license =
        found["data"].as_array().unwrap().iter().find(|license| license["key"] == "CCCC-3333").unwrap();
    assert_eq!(license["domains"], json!(["c.com", "d.com"]));
    let path = format!("/api/v1/licenses/{}/rotate-key", license["id"].as_str().unwrap());
    let (status, rotated) = server.call("POST", &path, Some(server.token()), None);
    assert_eq!(status, 200, "{rotated}");
    assert!(rotated["key"].as_str().unwrap().starts_with("TO-"));
    let (_, events) = server.call("GET", "/api/v1/events", Some(server.token()), None);
    let types: Vec<_> =
        events["data"].as_array().unwrap().iter().map(|event| event["type"].clone()).collect();
    assert!(!types.contains(&json!("license.imported")), "an import records no events by default: {types:?}");
    for event in events["data"].as_array().unwrap() {
        assert_eq!(event["data"]["license"]["key"], "****", "keys of several formats are fully masked");
    }
    let (_, audit) = server.call("GET", "/api/v1/audit?action=licenses.import", Some(server.token()), None);
    assert_eq!(audit["data"].as_array().unwrap().len(), 1, "{audit}");
}

#[test]
fn command_that_cannot_start_changes_nothing() {
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "key,plan\n").unwrap();
    std::fs::write(folder.path().join("a.txt"), "").unwrap();
    for (args, expected) in [
        (&["export"][..], "sqlite://licenses.db does not exist"),
        (&["import", "none.jsonl"], "none.jsonl: No such file"),
        (&["import", "a.txt"], "a.txt: unknown format"),
        (&["import", "a.txt", "--format", "jsonl", "--map", "a=key"], "--map and --set require CSV"),
        (&["import", "a.csv", "--dry-run"], "a.csv: no column is customer_email"),
        (&["import", "a.csv", "--dry-run", "--map", "x=key"], "a.csv: the table has no column \"x\""),
        (&["import", "a.csv", "--database", "memory:"], "memory: has no licenses"),
    ] {
        let (code, _, stderr) = run(folder.path(), args, &[]);
        assert_eq!(code, Some(2), "{args:?}: {stderr}");
        let reason = stderr.strip_prefix("license-server: ").unwrap_or_else(|| panic!("{args:?}: {stderr}"));
        assert!(reason.starts_with(expected), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// Returns the lines of `count` licenses. Every second one has an activation.
fn lines(count: usize) -> Vec<String> {
    let license = |n: usize| {
        let mut line = json!({"type": "license", "id": format!("lic_{n:06}"), "plan": "enterprise",
            "customer_email": "dev@example.com", "version": 2, "last_event": 1});
        line["metadata"] = json!({"n": n});
        let activation = json!({"type": "activation", "license": format!("lic_{n:06}"),
            "id": format!("act_{n:06}_0000000001"), "kind": "domain", "value": format!("site{n}.com")});
        [line, activation].into_iter().take(1 + n % 2)
    };
    (0..count).flat_map(license).map(|line: Value| line.to_string() + "\n").collect()
}

/// Kills an import twice and repeats it. Each license is imported completely and once.
async fn kill_and_repeat_import(folder: &Path, env: &[(&str, &str)], count: impl AsyncFn() -> usize) {
    const LICENSES: usize = 3_000;
    let all = lines(LICENSES);
    let import = ["import", "-", "--format", "jsonl"];
    let mut before = 0;
    for round in 1..=2 {
        let mut child = command(folder)
            .args(import)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let text = all.concat();
        // Keeps the input open, so that the import does not finish.
        let writer = thread::spawn(move || {
            let _ = input.write_all(text.as_bytes());
            input
        });
        while count().await < 1_000 * round {
            tokio::task::yield_now().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        drop(writer.join().unwrap());
        let kept = count().await;
        assert!(
            kept >= before.max(1_000) && kept < LICENSES && kept.is_multiple_of(1_000),
            "round {round}: {kept} are imported"
        );
        before = kept;
    }
    std::fs::write(folder.join("all.jsonl"), all.concat()).unwrap();
    let (code, _, stderr) = run(folder, &["import", "all.jsonl"], env);
    assert_eq!(code, Some(0), "{stderr}");
    let summary = format!(
        "{} licenses, {} activations and 0 rollups imported; {before} licenses existed; 0 lines rejected",
        LICENSES - before,
        (LICENSES - before) / 2
    );
    assert!(stderr.contains(&summary), "{stderr}");
    let text = exported(folder, &["--keys"], env);
    assert_eq!(text.lines().count(), 1 + all.len(), "each license once, with its activations");
    let (code, _, stderr) = run(folder, &["import", "all.jsonl"], env);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(exported(folder, &["--keys"], env), text);
}

#[tokio::test]
async fn killed_import_can_be_repeated() {
    use sqlx::{Connection, Row};

    let folder = tempdir().unwrap();
    // Creates the database.
    Server::start(folder.path()).stop("-TERM");
    let url = format!("sqlite://{}", folder.path().join("licenses.db").display());
    let count = async || {
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let row = sqlx::query("SELECT COUNT(*) FROM licenses").fetch_one(&mut connection).await.unwrap();
        usize::try_from(row.get::<i64, _>(0)).unwrap()
    };
    kill_and_repeat_import(folder.path(), &[], count).await;

    let Some(database) = TestDatabase::new().await else { return };
    let folder = tempdir().unwrap();
    let url = database.url();
    let env = [("LICENSE_DATABASE", url.as_str()), ("LICENSE_SECRET", SECRET)];
    Server::start_with(folder.path(), &[], &env).stop("-TERM");
    let count = async || {
        let row = sqlx::query("SELECT COUNT(*) FROM licenses").fetch_one(&mut database.connect().await).await;
        usize::try_from(row.unwrap().get::<i64, _>(0)).unwrap()
    };
    kill_and_repeat_import(folder.path(), &env, count).await;
}

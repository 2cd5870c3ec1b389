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
fn exports_are_audited() {
    let folder = tempdir().unwrap();
    fill(folder.path());
    exported(folder.path(), &[], &[]);
    exported(folder.path(), &["--keys"], &[]);
    let args = ["token", "create", "--name", "auditor", "--scopes", "audit:read"];
    let (code, token, stderr) = run(folder.path(), &args, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    let server = Server::start(folder.path());
    let (_, audit) = server.call("GET", "/api/v1/audit?action=licenses.export", Some(token.trim()), None);
    let entries = audit["data"].as_array().unwrap();
    let keys: Vec<_> = entries.iter().map(|entry| &entry["changes"]["keys"]["after"]).collect();
    assert_eq!(json!(keys), json!(["clear", "sealed"]), "newest first");
    assert!(entries.iter().all(|entry| entry["actor"]["kind"] == "command_line"), "{audit}");
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
    assert!(stderr.contains("line 6: its key was sealed with another secret"), "{stderr}");

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

/// Returns the lines of an export without those of products and plans, which each server wrote at its start.
fn licenses_of(text: &str) -> Vec<&str> {
    let of_catalog = ["{\"type\":\"product\"", "{\"type\":\"plan\""];
    text.lines().filter(|line| !of_catalog.iter().any(|start| line.starts_with(start))).collect()
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
    assert_eq!(licenses_of(&exported(back.path(), &[], &postgres)), licenses_of(&text));
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
    let faults = "old.csv:3: customer_email \"nobody\": this is not an e-mail address\n\
        old.csv:5: key: it is not a key of this server, nor in a declared key format; declare its format\n\
        old.csv:6: plan \"gold\": there is no such plan; the plans are enterprise, professional, starter\n";
    let remarks = "old.csv: keys in no declared format: 1; if they are valid, add --key-format \
        'imported=[a-z]{4}'\n\
        old.csv: keys of the format old have about 32 bits of entropy, so they can be guessed: past \
        --rate-failures they are refused even if they are valid; rotate these keys to end that\n";
    let (code, _, stderr) = run(folder.path(), &[&args[..], &["--dry-run"]].concat(), &[]);
    assert_eq!(code, Some(1), "{stderr}");
    let end =
        "2 licenses, 3 activations and 0 rollups would be imported; 0 licenses existed; 3 lines rejected\n";
    assert_eq!(stderr, format!("{faults}{remarks}{end}"));
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

/// Imports a table and returns the lines of standard error.
fn import_table(table: impl AsRef<[u8]>, args: &[&str]) -> (Option<i32>, Vec<String>, String) {
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), table).unwrap();
    let dry = run(folder.path(), &[&["import", "t.csv", "--dry-run"], args].concat(), &[]);
    let (code, _, stderr) = run(folder.path(), &[&["import", "t.csv"], args].concat(), &[]);
    let messages = |stderr: &str| {
        let about_file = stderr.lines().filter(|line| line.starts_with("t.csv"));
        about_file.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!((dry.0, messages(&dry.2)), (code, messages(&stderr)), "a dry run says the same");
    let export = if code == Some(2) { String::new() } else { exported(folder.path(), &["--keys"], &[]) };
    (code, messages(&stderr), export)
}

/// Tables as Excel, Google Sheets and shops export them.
#[test]
fn tables_of_other_programs_are_imported() {
    // Excel with a German locale: a byte order mark, semicolons, CRLF, and empty rows and cells at the end.
    let excel = "\u{feff}Plan;Customer_Email;Domains;Expires_At;;\r\n\
        starter; a@example.com ;a.com;2027-12-31;;\r\n;;;;;\r\n;;;;;\r\n\
        starter;b@example.com;localhost, b.com;never;;\r\nstarter;nobody;;;;\r\n";
    let ids = ["--set", "id=lic_1"];
    let (code, messages, export) =
        import_table(excel, &[&ids[..], &["--timezone", "Europe/Berlin"]].concat());
    assert_eq!(code, Some(1), "{messages:?}");
    assert_eq!(
        messages,
        [
            "t.csv: ignored columns: , ",
            "t.csv:5: same id as line 2: remove one of the two lines",
            "t.csv:6: customer_email \"nobody\": this is not an e-mail address",
            "t.csv:2: note: expires_at \"2027-12-31\" is read as 2027-12-31T22:59:59.999999Z",
        ]
    );
    assert!(export.contains(r#""expires_at":"2027-12-31T22:59:59.999999Z""#), "{export}");

    // A shop: names with spaces, cells with line ends, times in UTC, keys of its own.
    let shop = "License Key,Email,Product,Purchase Date,Machines,Notes\n\
        1A2B-3C4D,\"buyer@example.com\",starter,2024-02-29 12:00:00 UTC,\"pc 1\nmac 2\",\"first\nsecond\"\n\
        9Z9Z-8Y8Y,other@example.com,starter,2024-03-01,,\"\"\"quoted\"\"\"\n";
    let args = [
        "--map=license key=key",
        "--map=Email=customer_email",
        "--map=Product=plan",
        "--map=Purchase Date=created_at",
        "--map=Machines=devices",
        "--map=Notes=metadata.notes",
        "--set=expires_at=never",
        "--set=max_devices=unlimited",
        "--key-format=shop=[0-9A-Z]{4}-[0-9A-Z]{4}",
    ];
    let (code, messages, export) = import_table(shop, &args);
    assert_eq!(code, Some(0), "{messages:?}");
    assert_eq!(messages.len(), 1, "the format has little entropy: {messages:?}");
    for expected in
        [r#""created_at":"2024-02-29T12:00:00Z""#, r#""value":"mac 2""#, r#""notes":"first\nsecond""#]
    {
        assert!(export.contains(expected), "{expected}: {export}");
    }

    // A database whose header has no names of ours: what to map is in the message.
    let (code, messages, _) = import_table("id,key,user,policy\n1,A,a@example.com,p\n", &[]);
    assert_eq!(code, Some(2));
    assert_eq!(messages, Vec::<String>::new());
}

#[test]
fn tables_without_licenses_say_so() {
    let folder = tempdir().unwrap();
    let import = |table: &[u8], args: &[&str]| {
        std::fs::write(folder.path().join("t.csv"), table).unwrap();
        let (code, _, stderr) = run(folder.path(), &[&["import", "t.csv", "--dry-run"], args].concat(), &[]);
        (code, stderr.lines().next().unwrap().to_owned())
    };
    let header = "plan,customer_email,key\n".as_bytes();
    let utf_16: Vec<_> = "plan,customer_email\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (table, args, code, message) in [
        (
            &b""[..],
            &[][..],
            2,
            "license-server: t.csv: the table is empty: its first line must name the columns",
        ),
        (
            b"\n\r\n,,\n",
            &[],
            2,
            "license-server: t.csv: the table is empty: its first line must name the columns",
        ),
        (header, &[], 0, "t.csv: the table has a header, but no rows"),
        (
            &utf_16,
            &[],
            2,
            "license-server: t.csv: the file is UTF-16, not UTF-8: save it as UTF-8, in Excel as \"CSV UTF-8\"",
        ),
        (
            b"plan,M\xFCller\n",
            &[],
            2,
            "license-server: t.csv: the row is not UTF-8: save the table as \"CSV UTF-8\"",
        ),
        (
            b"plan,plan,customer_email\n",
            &[],
            2,
            "license-server: t.csv: plan is given twice: map one of its columns to metadata.NAME, or leave out --set",
        ),
        (
            b"Key,Mail,Tier\n",
            &["--map", "Mail=customer_email"],
            2,
            "license-server: t.csv: no column is plan: map one (Tier) with COLUMN=plan, or set plan for all rows",
        ),
        (
            b"plan,customer_email,id\nstarter,a@b.c,lic_1,x\n",
            &[],
            1,
            "t.csv:2: the row has 4 cells, but the header has 3: check its separators and quotes",
        ),
        (
            b"plan|customer_email|id\nstarter|a@b.c|lic_1\n",
            &["--delimiter", "|"],
            0,
            "1 licenses, 0 activations and 0 rollups would be imported; 0 licenses existed; 0 lines rejected",
        ),
    ] {
        assert_eq!(
            import(table, args),
            (Some(code), message.to_owned()),
            "{}",
            String::from_utf8_lossy(table)
        );
    }
}

/// PowerShell redirects an export to UTF-16, and editors on Windows add a byte order mark.
#[test]
fn byte_order_mark_of_lines_is_understood() {
    let folder = tempdir().unwrap();
    let import = |bytes: &[u8]| {
        std::fs::write(folder.path().join("l.jsonl"), bytes).unwrap();
        let (code, _, stderr) = run(folder.path(), &["import", "l.jsonl", "--dry-run"], &[]);
        (code, stderr)
    };
    let text = lines(1).concat();
    let (code, stderr) = import(format!("\u{feff}{text}").as_bytes());
    assert_eq!(code, Some(0), "{stderr}");
    let utf_16: Vec<_> =
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let (code, stderr) = import(&utf_16);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("l.jsonl: the file is UTF-16, not UTF-8: save it as UTF-8"), "{stderr}");
}

/// An undeclared format of keys makes every line invalid: ten are reported, and the others counted.
#[test]
fn many_messages_are_cut() {
    let rows: Vec<_> = (0..30).map(|n| format!("AB-{n:04},starter,a@example.com,2027-01-01\n")).collect();
    let table = format!("key,plan,customer_email,expires_at\n{}", rows.concat());
    let (code, messages, _) = import_table(&table, &[]);
    assert_eq!((code, messages.len()), (Some(1), 11), "{messages:?}");
    assert_eq!(
        messages[10],
        "t.csv: keys in no declared format: 30; if they are valid, add --key-format 'imported=[A-Z]{2}-[0-9]{4}'"
    );
    let (code, messages, _) = import_table(&table, &["--key-format", "imported=[A-Z]{2}-[0-9]{4}"]);
    assert_eq!((code, messages.len()), (Some(0), 12), "{messages:?}");
    assert_eq!(messages[10], "t.csv: 20 more notes like these");
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
        (
            &["import", "a.txt", "--format", "jsonl", "--map", "a=key"],
            "--map is for tables: leave it out, or set --format csv",
        ),
        (&["import", "a.csv", "--dry-run"], "a.csv: no column is customer_email"),
        (&["import", "a.csv", "--dry-run", "--map", "x=key"], "a.csv: the table has no column \"x\""),
        (&["import", "a.csv", "--database", "memory:"], "memory: belongs to one process"),
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
    assert_eq!(licenses_of(&text).len(), 1 + all.len(), "each license once, with its activations");
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

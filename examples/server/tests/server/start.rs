//! First start, later starts, and failed starts.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;

use serde_json::json;
use tempfile::tempdir;

use crate::process::{Server, TOKEN, agent, command, failure, starter};

/// Returns all files of a folder with their contents.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    std::fs::read_dir(folder).unwrap().map(read).collect()
}

#[test]
fn first_start_creates_what_the_next_start_uses() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path());
    for part in
        ["sqlite://licenses.db", "licenses.db.secret (new: back it up", "enterprise, professional, starter"]
    {
        assert!(server.startup_message.contains(part), "{part}: {}", server.startup_message);
    }
    assert_eq!(
        server.call("GET", "/health", None, None),
        (200, json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
    );
    assert_eq!(server.call("GET", "/ready", None, None).0, 200);
    let token = server.token().to_owned();
    let mut license = server.issue(&token, &starter());
    let (code, _) = server.stop("-INT");
    assert_eq!(code, Some(0));

    let server = Server::start(folder.path());
    assert_eq!(server.token, None, "the token is shown only once");
    assert!(!server.startup_message.contains(&token), "{}", server.startup_message);
    let mut again = server.license(&token, license["id"].as_str().unwrap());
    for answer in [&mut license, &mut again] {
        assert!(answer.as_object_mut().unwrap().remove("as_of").is_some());
    }
    assert_eq!(again, license, "the key can be read with the stored secret");
}

#[test]
fn servers_that_start_together_share_one_secret() {
    for _ in 0..3 {
        let folder = tempdir().unwrap();
        let start = || Server::start_with(folder.path(), &["--admin-token", TOKEN], &[]);
        let servers: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..3).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        for server in &servers {
            let license = server.issue(TOKEN, &starter());
            let body = json!({"key": license["key"]});
            for other in &servers {
                let (_, verdict) = other.call("POST", "/api/v1/validate", None, Some(&body));
                assert_eq!(verdict["valid"], true, "{verdict}");
                assert_eq!(other.license(TOKEN, license["id"].as_str().unwrap())["key"], license["key"]);
            }
        }
        let left = files(folder.path());
        assert!(left.keys().all(|name| name.starts_with("licenses.db")), "{:?}", left.keys());
        assert_eq!(left.keys().filter(|name| name.contains("secret")).count(), 1);
    }
}

/// A shell runs the commands of the startup message, with the built-in plans and with others.
#[test]
fn printed_commands_work_as_pasted() {
    let plans = concat!(env!("CARGO_MANIFEST_DIR"), "/../plans.toml");
    for (args, plan) in [(&[][..], "starter"), (&["--plans", plans], "solo")] {
        let folder = tempdir().unwrap();
        let server = Server::start_with(folder.path(), args, &[]);
        let commands = server.startup_message.lines().filter(|line| line.starts_with("  ")).skip(6);
        let commands = commands.fold(String::new(), |text, line| text + line + "\n");
        let output = std::process::Command::new("sh").args(["-eu", "-c", &commands]).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<serde_json::Value> =
            printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4, "{printed}{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(lines[0]["plan"], plan);
        assert_eq!(lines[1]["valid"], true);
        assert_eq!(lines[2]["error"], "DOMAIN_LIMIT_REACHED");
        assert_eq!(lines[3]["status"], "revoked");
    }
}

/// A first start that fails removes its secret file. A secret in the environment creates no file.
#[test]
fn secret_file_is_created_only_with_a_database() {
    let folder = tempdir().unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    failure(folder.path(), &["--database", "sqlite://folder/missing/x.db"], &[]);
    assert_eq!(std::fs::read_dir(folder.path().join("folder")).unwrap().count(), 0);
    let secret = "5a".repeat(32);
    for _ in 0..2 {
        let server =
            Server::start_with(folder.path(), &["--log-format", "json"], &[("LICENSE_SECRET", &secret)]);
        assert_eq!(server.stop("-INT").0, Some(0));
    }
    assert!(!folder.path().join("licenses.db.secret").exists());
}

#[test]
fn memory_database_leaves_no_files() {
    let folder = tempdir().unwrap();
    let server = Server::start_with(folder.path(), &["--database", "memory:"], &[]);
    server.issue(server.token(), &starter());
    assert_eq!(server.stop("-TERM").0, Some(0));
    assert_eq!(files(folder.path()), BTreeMap::new());
}

#[test]
fn flags_and_environment_are_equivalent() {
    let folder = tempdir().unwrap();
    let plans = folder.path().join("plans.toml");
    std::fs::write(&plans, "[plans.solo]\nmax_domains = 1\nmax_devices = 1\nterm_days = \"perpetual\"\n")
        .unwrap();
    let plans = plans.to_str().unwrap();
    let by_flag = ["--database", "memory:", "--plans", plans, "--key-prefix", "ACME", "--admin-token", TOKEN];
    let by_env = [
        ("LICENSE_DATABASE", "memory:"),
        ("LICENSE_PLANS", plans),
        ("LICENSE_KEY_PREFIX", "ACME"),
        ("LICENSE_ADMIN_TOKEN", TOKEN),
    ];
    for server in
        [Server::start_with(folder.path(), &by_flag, &[]), Server::start_with(folder.path(), &[], &by_env)]
    {
        assert!(!server.startup_message.contains(TOKEN), "{}", server.startup_message);
        let license = server.issue(TOKEN, &json!({"plan": "solo", "customer_email": "dev@example.com"}));
        assert!(license["key"].as_str().unwrap().starts_with("ACME-"), "{license}");
        assert_eq!(license["expires_at"], json!(null));
    }
}

#[test]
fn secret_and_token_are_read_from_files_and_trimmed() {
    let folder = tempdir().unwrap();
    let secret = "5a".repeat(32);
    std::fs::write(folder.path().join("secret"), format!("{secret}\n")).unwrap();
    std::fs::write(folder.path().join("token"), format!(" {TOKEN}\r\n")).unwrap();
    let padded = (format!(" {secret} \n"), format!("{TOKEN}\n"));
    for env in [
        [("LICENSE_SECRET_FILE", "secret"), ("LICENSE_ADMIN_TOKEN_FILE", "token")],
        [("LICENSE_SECRET", padded.0.as_str()), ("LICENSE_ADMIN_TOKEN", padded.1.as_str())],
    ] {
        let server = Server::start_with(folder.path(), &[], &env);
        server.issue(TOKEN, &starter());
        assert!(!folder.path().join("licenses.db.secret").exists());
    }
}

#[test]
fn blank_variable_counts_as_not_set() {
    let folder = tempdir().unwrap();
    let blank = [
        ("LICENSE_SECRET", ""),
        ("LICENSE_SECRET_FILE", " "),
        ("LICENSE_ADMIN_TOKEN", ""),
        ("LICENSE_PLANS", ""),
        ("LICENSE_CACHE_SIZE", " "),
        ("LICENSE_TRUSTED_PROXY", ""),
        ("LICENSE_DATABASE_POOLER", ""),
    ];
    let server = Server::start_with(folder.path(), &[], &blank);
    server.issue(server.token(), &starter());
}

#[test]
fn switches_have_one_syntax_in_flags_and_variables() {
    let folder = tempdir().unwrap();
    for (args, value) in [(&["--rate-limit", "off"][..], "1"), (&["--rate-limit", "0"], "on")] {
        let args = [&["--database", "memory:"], args].concat();
        Server::start_with(folder.path(), &args, &[("LICENSE_WEBHOOK_ALLOW_HTTP", value)]);
    }
    let output = command(folder.path()).env("LICENSE_STORE_ADDRESSES", "maybe").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("must be on, off, true, false, 1 or 0"), "{message}");
}

#[test]
fn metrics_listener_has_all_metrics_and_nothing_else() {
    let folder = tempdir().unwrap();
    let server = Server::start_with(folder.path(), &["--metrics-listen", "127.0.0.1:0"], &[]);
    server.issue(server.token(), &starter());
    let agent = agent();
    let mut lines = server.startup_message.lines();
    let url = lines.find_map(|line| line.trim().strip_prefix("metrics ")).unwrap().trim();
    let url = url.strip_suffix("/metrics").unwrap();
    let get = |path: &str| agent.get(format!("{url}{path}")).call().unwrap();
    let text = get("/metrics").body_mut().read_to_string().unwrap();
    for part in ["license_licenses{plan=\"starter\",status=\"active\"} 1", "process_resident_memory_bytes"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(get("/api/v1/licenses").status(), 404);
    let message = failure(folder.path(), &["--metrics-listen", "nonsense"], &[]);
    assert!(message.contains("cannot listen on nonsense for metrics"), "{message}");
}

#[test]
fn public_address_without_tls_is_warned_about_once() {
    let warning = "listens without TLS";
    for (args, count) in [
        (&["--listen", "0.0.0.0:0"][..], 1),
        (&["--listen", "0.0.0.0:0", "--trusted-proxy", "10.0.0.0/8"], 0),
        (&["--listen", "127.0.0.1:0"], 0),
    ] {
        let folder = tempdir().unwrap();
        let server = Server::start_with(folder.path(), &[&["--database", "memory:"], args].concat(), &[]);
        let (_, log) = server.stop("-INT");
        assert_eq!(log.matches(warning).count(), count, "{args:?}: {log}");
    }
}

#[cfg(unix)]
#[test]
fn files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path());
    server.issue(server.token(), &starter());
    let modes: BTreeMap<_, _> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().permissions().mode() & 0o777)
        })
        .collect();
    let names: Vec<_> = modes.keys().map(String::as_str).collect();
    assert_eq!(names, ["licenses.db", "licenses.db-shm", "licenses.db-wal", "licenses.db.secret"]);
    assert!(modes.values().all(|mode| *mode == 0o600), "{modes:?}");
}

#[test]
fn failed_start_changes_no_file() {
    let folder = tempdir().unwrap();
    let path = folder.path();
    let server = Server::start(path);
    server.issue(server.token(), &starter());
    assert_eq!(server.stop("-INT").0, Some(0));
    std::fs::write(path.join("broken.toml"), "[plans.x]\nmax_domains = 1\n").unwrap();
    std::fs::write(
        path.join("other.toml"),
        "[plans.starter]\nproduct=\"other\"\nmax_domains=1\nmax_devices=1\nterm_days=1\n",
    )
    .unwrap();
    std::fs::write(path.join("text.db"), "this is no database, however long it is. ".repeat(50)).unwrap();
    std::fs::write(path.join("text.db.secret"), "5a".repeat(32)).unwrap();
    std::fs::write(path.join("empty"), "\n").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (other_secret, short) = ("ab".repeat(32), "ab".repeat(31));
    let before = files(path);
    for (args, env, part) in [
        (&["--listen", taken.as_str()][..], &[][..], "cannot listen on"),
        (&["--listen", "nonsense"], &[], "cannot listen on nonsense"),
        (&["--database", "mysql://user:hunter2@host/db"], &[], "unknown scheme \"mysql\""),
        (&["--database", "licenses.db"], &[], "write --database sqlite://licenses.db"),
        (&["--database", "sqlite://"], &[], "names no file"),
        (&["--database", "sqlite::memory:"], &[], "for a database in memory, write --database memory:"),
        (&["--database", "sqlite://file:x.db"], &[], "for a database in memory, write --database memory:"),
        (&["--database", "sqlite://missing/folder/licenses.db"], &[], "No such file or directory"),
        (&["--database", "sqlite://text.db"], &[], "cannot be opened"),
        (&["--database", "sqlite://."], &[], "sqlite://. is a folder"),
        (&["--plans", "missing.toml"], &[], "No such file or directory"),
        (&["--plans", "broken.toml"], &[], "missing field `max_devices`"),
        (&["--plans", "other.toml"], &[], "--plans: The plan \"starter\" belongs to the product \"default\""),
        (&["--key-prefix", "to"], &[], "--key-prefix"),
        (&["--key-prefix", "ACME"], &[], "start with --key-prefix TO"),
        (&["--admin-token", "short"], &[], "--admin-token must be at least 16"),
        (&[], &[("LICENSE_SECRET", other_secret.as_str())], "the secret does not fit this database"),
        (&[], &[("LICENSE_SECRET", short.as_str())], "LICENSE_SECRET"),
        (&[], &[("LICENSE_SECRET_FILE", "missing")], "LICENSE_SECRET_FILE: missing cannot be read"),
        (&[], &[("LICENSE_SECRET_FILE", "empty")], "LICENSE_SECRET_FILE: empty is empty"),
        (&[], &[("LICENSE_SECRET", short.as_str()), ("LICENSE_SECRET_FILE", "empty")], "set one of them"),
        (&[], &[("LICENSE_ADMIN_TOKEN_FILE", "missing")], "LICENSE_ADMIN_TOKEN_FILE: missing cannot be read"),
    ] {
        let message = failure(path, args, env);
        assert!(message.contains(part), "{args:?} {env:?}: {message}");
        assert!(!message.contains("hunter2") && !message.contains(&other_secret), "{message}");
        assert!(files(path) == before, "{args:?} {env:?} changed a file: {:?}", files(path).keys());
    }
    std::fs::rename(path.join("licenses.db.secret"), path.join("elsewhere")).unwrap();
    let before = files(path);
    assert!(failure(path, &[], &[]).contains("licenses.db.secret is missing"));
    assert!(files(path) == before, "an existing database gets no new secret");
    std::fs::rename(path.join("elsewhere"), path.join("licenses.db.secret")).unwrap();
    Server::start(path);
}

#[test]
fn invalid_flag_is_explained() {
    let folder = tempdir().unwrap();
    for (args, expected) in [
        (&["--prot"][..], "unexpected argument '--prot'"),
        (
            &["--cache-size", "256MB"],
            "invalid value '256MB' for '--cache-size <SIZE>': must be a whole number of bytes",
        ),
    ] {
        let output = command(folder.path()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(expected), "{message}");
        assert_eq!(files(folder.path()), BTreeMap::new());
    }
}

//! `--config FILE` and `license-server config`.

use std::fs;
use std::path::Path;

use tempfile::tempdir;

use crate::process::{Server, TOKEN, command, failure};

/// Returns value and source of each setting that `license-server config` prints.
fn settings(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let output = command(folder).args(args).arg("config").envs(env.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let mut parts = line.split('\t').map(str::to_owned);
        (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap())
    };
    text.lines().map(line).collect()
}

fn setting(folder: &Path, args: &[&str], env: &[(&str, &str)], name: &str) -> (String, String) {
    let all = settings(folder, args, env);
    let found = all.into_iter().find(|(key, ..)| key == name).unwrap();
    (found.1, found.2)
}

#[test]
fn flag_wins_over_environment_over_file_over_default() {
    let folder = tempdir().unwrap();
    let text = "cache-ttl = \"2m\"\ndatabase-pooler = true\ntrusted-proxy = [\"10.0.0.0/8\", \"192.0.2.1\"]\nconnections = 7";
    fs::write(folder.path().join("server.toml"), text).unwrap();
    let config = ["--config", "server.toml"];
    let both = ["--config", "server.toml", "--cache-ttl", "4m"];
    let env = [("LICENSE_CACHE_TTL", "3m")];
    let blank = [("LICENSE_CACHE_TTL", " ")];
    for (args, env, value, source) in [
        (&[][..], &[][..], "5m", "default"),
        (&config, &[], "2m", "file server.toml"),
        (&config, &blank, "2m", "file server.toml"),
        (&config, &env, "3m", "environment"),
        (&both, &env, "4m", "flag"),
        (&both, &[], "4m", "flag"),
    ] {
        let found = setting(folder.path(), args, env, "cache-ttl");
        assert_eq!(found, (value.to_owned(), source.to_owned()), "{args:?} {env:?}");
    }
    for (name, value) in
        [("database-pooler", "true"), ("trusted-proxy", "10.0.0.0/8,192.0.2.1"), ("connections", "7")]
    {
        let found = setting(folder.path(), &[], &[("LICENSE_CONFIG", "server.toml")], name);
        assert_eq!(found, (value.to_owned(), "file server.toml".to_owned()));
    }
    // A global flag may stand behind the command.
    let output = command(folder.path()).args(["config", "--config", "server.toml"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("cache-ttl\t2m\tfile server.toml"));
}

#[test]
fn config_command_shows_no_secret() {
    let folder = tempdir().unwrap();
    let text = "database = \"postgres://me:hunter2@db/licenses\"\nadmin-token = \"hunter2-hunter2-hunter2\"\n\
                database-listen = \"postgres://me:hunter2@db/licenses\"";
    fs::write(folder.path().join("server.toml"), text).unwrap();
    let secret = "hunter2".repeat(9);
    let all = settings(folder.path(), &["--config", "server.toml"], &[("LICENSE_SECRET", &secret)]);
    let of =
        |name: &str| all.iter().find(|(key, ..)| key == name).map(|(_, value, source)| (&**value, &**source));
    assert_eq!(of("database"), Some(("postgres://db/licenses", "file server.toml")));
    assert_eq!(of("database-listen"), Some(("(hidden)", "file server.toml")));
    assert_eq!(of("admin-token"), Some(("(hidden)", "file server.toml")));
    assert_eq!(of("secret"), Some(("(hidden)", "environment")));
    assert_eq!(of("issuer"), Some(("(not set)", "default")));
    assert!(!format!("{all:?}").contains("hunter2"));
}

#[test]
fn wrong_file_stops_the_start() {
    let folder = tempdir().unwrap();
    for (text, message) in [
        ("cache_ttl = \"5m\"", "server.toml: unknown key cache_ttl; did you mean cache-ttl?"),
        ("cache-ttl = 5", "server.toml: invalid value '5' for '--cache-ttl <DURATION>'"),
        ("listen = \"x\"\nlisten = \"y\"", "server.toml: line 2: duplicate key"),
        ("tls-cert = \"cert.pem\"", "--tls-cert requires --tls-key"),
        ("secret-file = \"missing\"", "secret-file of server.toml: missing cannot be read"),
        ("admin-token = \"short\"", "at least 16 printable"),
    ] {
        fs::write(folder.path().join("server.toml"), text).unwrap();
        let error = failure(folder.path(), &["--config", "server.toml"], &[]);
        assert!(error.contains(message), "{text}: {error}");
    }
    let error = failure(folder.path(), &["--config", "missing.toml"], &[]);
    assert!(error.contains("--config missing.toml: "), "{error}");
}

/// Each secret may be in a file that the configuration file, a variable or a flag names.
#[test]
fn server_reads_secrets_from_files() {
    let folder = tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("secret", &"5a".repeat(32));
    write("token", &format!("{TOKEN}\n"));
    write("url", "sqlite://other.db\n");
    write("server.toml", "secret-file = \"secret\"\nadmin-token-file = \"token\"\ndatabase-file = \"url\"");
    let server = Server::start_with(folder.path(), &["--config", "server.toml"], &[]);
    assert_eq!(server.call("GET", "/api/v1/licenses", Some(TOKEN), None).0, 200);
    assert!(folder.path().join("other.db").exists() && !folder.path().join("licenses.db").exists());
    assert!(!folder.path().join("other.db.secret").exists());
    drop(server);
    // The stronger source wins, whether it has the text or names a file.
    let env = [("LICENSE_DATABASE", "sqlite://third.db")];
    let (value, source) = setting(folder.path(), &["--config", "server.toml"], &env, "database");
    assert_eq!((&*value, &*source), ("sqlite://third.db", "environment"));
    let args = ["--database-file", "url"];
    let (value, source) = setting(folder.path(), &args, &env, "database");
    assert_eq!((&*value, &*source), ("sqlite://other.db", "flag"));
    for args in [
        &["--database", "memory:", "--database-file", "url"][..],
        &["--admin-token", TOKEN, "--admin-token-file", "token"],
    ] {
        let error = failure(folder.path(), args, &[]);
        let message = format!("{} and {} are both set; set one of them", args[0], args[2]);
        assert!(error.contains(&message), "{error}");
    }
}

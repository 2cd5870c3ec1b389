//! Tokens from the command line, and the first one.

use std::path::Path;

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};
use tempfile::tempdir;
use test_database::TestDatabase;

use crate::postgres::{TOKEN, node};
use crate::process::{Server, command, refused, starter};

/// Runs `license-server token …`; what it prints.
fn token(folder: &Path, database: &str, args: &[&str]) -> String {
    let output = command(folder).arg("token").args(args).args(["--database", database]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn status(server: &Server, token: &str) -> u16 {
    server.call("GET", "/api/v1/licenses", Some(token), None).0
}

/// Asked until it is refused: another process revoked it.
fn until_refused(server: &Server, token: &str) {
    while status(server, token) != 401 {
        std::thread::yield_now();
    }
}

fn made_used_and_revoked(folder: &Path, database: &str, server: &Server, admin: &str) {
    let made = token(folder, database, &["create", "--name", "CI", "--scopes", "licenses:read,audit:read"]);
    let made = made.trim();
    assert_eq!(status(server, made), 200);
    assert_eq!(server.call("POST", "/api/v1/licenses", Some(made), Some(&starter())).0, 403);
    let list = token(folder, database, &["list"]);
    let line = list.lines().find(|line| line.ends_with("\tCI")).unwrap();
    assert!(line.contains("\tactive\tlicenses:read,audit:read\tnever\t"), "{line}");
    assert!(!list.contains(&made[4..]));
    let id = line.split('\t').next().unwrap();
    let (_, audit) = server.call("GET", "/api/v1/audit?action=token.create", Some(admin), None);
    assert_eq!(audit["data"][0]["actor"], json!({ "kind": "command_line", "token_id": null, "name": null }));
    assert!(token(folder, database, &["revoke", id]).contains("\trevoked\t"));
    until_refused(server, made);
}

#[test]
fn on_sqlite_while_the_server_runs() {
    let folder = tempdir().unwrap();
    let database = "sqlite://licenses.db";
    let why = refused(folder.path(), &["token", "list"], &[]);
    assert!(why.contains("is not there yet: start the server once"), "{why}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
    let server = Server::start(folder.path());
    made_used_and_revoked(folder.path(), database, &server, server.token());
    assert!(
        refused(folder.path(), &["token", "revoke", "tok_nobody"], &[]).contains("there is no such token")
    );
    assert!(refused(folder.path(), &["--database", "memory:", "token", "list"], &[]).contains("memory:"));
}

/// And a token that one node revokes is refused by the other.
#[tokio::test]
async fn on_postgres_while_two_servers_run() {
    let Some(database) = TestDatabase::new().await else { return };
    let (folder, url) = (tempdir().unwrap(), database.url());
    let (first, second) = (node(folder.path(), &url), node(folder.path(), &url));
    made_used_and_revoked(folder.path(), &url, &first, TOKEN);
    let body = json!({ "name": "a", "scopes": ["licenses:read"] });
    let (code, made) = first.call("POST", "/api/v1/tokens", Some(TOKEN), Some(&body));
    assert_eq!(code, 201, "{made}");
    let (id, secret) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert_eq!((status(&first, secret), status(&second, secret)), (200, 200));
    assert_eq!(first.call("DELETE", &format!("/api/v1/tokens/{id}"), Some(TOKEN), None).0, 200);
    assert_eq!(status(&first, secret), 401, "at once where it was revoked");
    until_refused(&second, secret);
}

/// As a database of before there were other tokens: it has the digest, and no token.
#[tokio::test]
async fn the_first_token_of_an_old_database_goes_on_and_can_be_revoked() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path());
    let first = server.token().to_owned();
    server.stop("-TERM");
    let path = folder.path().join("licenses.db");
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    connection.execute("DELETE FROM tokens").await.unwrap();
    drop(connection);

    let server = Server::start(folder.path());
    assert_eq!((status(&server, &first), &server.token), (200, &None));
    let (_, shown) = server.call("GET", "/api/v1/tokens/tok_first", Some(&first), None);
    assert_eq!((&shown["scopes"], &shown["name"]), (&json!(["admin"]), &json!("first admin token")));
    server.stop("-TERM");

    // A token of a run takes its place for that run.
    let given = "a-token-of-my-own-0123456789";
    let server = Server::start_with(folder.path(), &["--admin-token", given], &[]);
    assert_eq!((status(&server, given), status(&server, &first)), (200, 401));
    server.stop("-TERM");
    let server = Server::start(folder.path());
    assert_eq!((status(&server, given), status(&server, &first)), (401, 200));
    assert_eq!(server.call("DELETE", "/api/v1/tokens/tok_first", Some(&first), None).0, 200);
    assert_eq!(status(&server, &first), 401);
    server.stop("-TERM");
    assert_eq!(status(&Server::start(folder.path()), &first), 401, "for good");
}

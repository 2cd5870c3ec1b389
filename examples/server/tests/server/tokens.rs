//! `license-server token`, and the first admin token.

use std::path::Path;

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};
use tempfile::tempdir;
use test_database::TestDatabase;

use crate::postgres::node;
use crate::process::{Server, TOKEN, command, failure, starter};

/// Runs `license-server token …`. Returns its output.
fn token(folder: &Path, database: &str, args: &[&str]) -> String {
    let output = command(folder).arg("token").args(args).args(["--database", database]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn status(server: &Server, token: &str) -> u16 {
    server.call("GET", "/api/v1/licenses", Some(token), None).0
}

/// Waits until the server rejects a token that another process has revoked.
fn until_rejected(server: &Server, token: &str) {
    while status(server, token) != 401 {
        std::thread::yield_now();
    }
}

fn create_use_and_revoke(folder: &Path, database: &str, server: &Server, admin: &str) {
    let created =
        token(folder, database, &["create", "--name", "CI", "--scopes", "licenses:read,audit:read"]);
    let created = created.trim();
    assert_eq!(status(server, created), 200);
    assert_eq!(server.call("POST", "/api/v1/licenses", Some(created), Some(&starter())).0, 403);
    let list = token(folder, database, &["list"]);
    let line = list.lines().find(|line| line.ends_with("\tCI")).unwrap();
    assert!(line.contains("\tactive\tlicenses:read,audit:read\tnever\t"), "{line}");
    assert!(!list.contains(&created[4..]));
    let id = line.split('\t').next().unwrap();
    let (_, audit) = server.call("GET", "/api/v1/audit?action=token.create", Some(admin), None);
    assert_eq!(audit["data"][0]["actor"], json!({ "kind": "command_line", "token_id": null, "name": null }));
    assert!(token(folder, database, &["revoke", id]).contains("\trevoked\t"));
    until_rejected(server, created);
}

#[test]
fn token_commands_work_beside_a_server_on_sqlite() {
    let folder = tempdir().unwrap();
    let database = "sqlite://licenses.db";
    let why = failure(folder.path(), &["token", "list"], &[]);
    assert!(why.contains("does not exist; start the server once"), "{why}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file is created");
    let server = Server::start(folder.path());
    create_use_and_revoke(folder.path(), database, &server, server.token());
    assert!(
        failure(folder.path(), &["token", "revoke", "tok_unknown"], &[]).contains("there is no such token")
    );
    assert!(failure(folder.path(), &["--database", "memory:", "token", "list"], &[]).contains("memory:"));
}

/// A token that one node revokes is rejected by the other.
#[tokio::test]
async fn token_commands_work_beside_two_servers_on_postgres() {
    let Some(database) = TestDatabase::new().await else { return };
    let (folder, url) = (tempdir().unwrap(), database.url());
    let (first, second) = (node(folder.path(), &url), node(folder.path(), &url));
    create_use_and_revoke(folder.path(), &url, &first, TOKEN);
    let body = json!({ "name": "a", "scopes": ["licenses:read"] });
    let (code, created) = first.call("POST", "/api/v1/tokens", Some(TOKEN), Some(&body));
    assert_eq!(code, 201, "{created}");
    let (id, secret) = (created["id"].as_str().unwrap(), created["token"].as_str().unwrap());
    assert_eq!((status(&first, secret), status(&second, secret)), (200, 200));
    assert_eq!(first.call("DELETE", &format!("/api/v1/tokens/{id}"), Some(TOKEN), None).0, 200);
    assert_eq!(status(&first, secret), 401, "at once on the node that revoked it");
    until_rejected(&second, secret);
}

/// A database with the digest of the first token but without the token itself.
#[tokio::test]
async fn first_token_is_adopted_and_can_be_revoked() {
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

    // While --admin-token is set, it replaces the first token.
    let given = "a-token-of-my-own-0123456789";
    let server = Server::start_with(folder.path(), &["--admin-token", given], &[]);
    assert_eq!((status(&server, given), status(&server, &first)), (200, 401));
    server.stop("-TERM");
    let server = Server::start(folder.path());
    assert_eq!((status(&server, given), status(&server, &first)), (401, 200));
    assert_eq!(server.call("DELETE", "/api/v1/tokens/tok_first", Some(&first), None).0, 200);
    assert_eq!(status(&server, &first), 401);
    server.stop("-TERM");
    assert_eq!(status(&Server::start(folder.path()), &first), 401, "permanently");
}

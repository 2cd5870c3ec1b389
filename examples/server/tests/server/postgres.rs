//! Several nodes on one PostgreSQL.

use std::thread;

use serde_json::json;
use tempfile::tempdir;
use test_database::TestDatabase;

use crate::limits::race;
use crate::process::{Server, TOKEN, failure};

/// Starts a node on this database.
pub(crate) fn node(folder: &std::path::Path, url: &str) -> Server {
    node_with(folder, url, &[])
}

/// Starts a node on this database with these flags.
pub(crate) fn node_with(folder: &std::path::Path, url: &str, flags: &[&str]) -> Server {
    let secret = "5a".repeat(32);
    let env = [
        ("LICENSE_SECRET", secret.as_str()),
        ("LICENSE_DATABASE", url),
        ("LICENSE_DATABASE_TIMEOUT", "2s"),
        ("LICENSE_ADMIN_TOKEN", TOKEN),
    ];
    Server::start_with(folder, flags, &env)
}

#[tokio::test]
async fn two_nodes_share_one_limit() {
    let Some(database) = TestDatabase::new().await else { return };
    let folder = tempdir().unwrap();
    let (first, second) = (node(folder.path(), &database.url()), node(folder.path(), &database.url()));
    for round in 0..10 {
        let slots = [1, 3, 7][round % 3];
        for (field, limit, list) in
            [("domain", "max_domains", "domains"), ("fingerprint", "max_devices", "devices")]
        {
            let mut request = json!({"plan": "enterprise", "customer_email": "dev@example.com"});
            request[limit] = slots.into();
            let license = first.issue(TOKEN, &request);
            let won: usize = thread::scope(|scope| {
                let other = scope.spawn(|| race(&second, &license["key"], field, 24));
                race(&first, &license["key"], field, 0) + other.join().unwrap()
            });
            let found = second.license(TOKEN, license["id"].as_str().unwrap());
            let held = found[list].as_array().unwrap().len();
            assert_eq!(
                (won, held),
                (slots, slots),
                "round {round}: {won} of 48 callers won {slots} slots of {list}"
            );
        }
    }
}

/// The startup message must not show the password of the database.
#[tokio::test]
async fn nodes_that_start_together_create_one_schema() {
    let Some(database) = TestDatabase::new().await else { return };
    let folder = tempdir().unwrap();
    let url = database.url();
    let nodes: Vec<_> = thread::scope(|scope| {
        let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| node(folder.path(), &url))).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let mut license = nodes[0].issue(TOKEN, &json!({"plan": "starter", "customer_email": "dev@example.com"}));
    license.as_object_mut().unwrap().remove("as_of");
    for node in &nodes {
        let mut found = node.license(TOKEN, license["id"].as_str().unwrap());
        found.as_object_mut().unwrap().remove("as_of");
        assert_eq!(found, license);
        let (status, ready) = node.call("GET", "/ready", None, None);
        assert_eq!((status, &ready["change_feed"]), (200, &json!("listening")));
        let password = url.split(['@', ':']).nth(2).unwrap();
        assert!(!node.startup_message.contains(password), "{}", node.startup_message);
    }
    for node in &nodes {
        let body = json!({"key": license["key"]});
        assert_eq!(node.call("POST", "/api/v1/validate", None, Some(&body)).1["valid"], true);
    }
}

#[tokio::test]
async fn failed_start_names_the_reason() {
    let Some(database) = TestDatabase::new().await else { return };
    let folder = tempdir().unwrap();
    let url = database.url();
    let secret = "5a".repeat(32);
    let message = failure(folder.path(), &["--database", &url], &[]);
    assert!(message.contains("LICENSE_SECRET must be set"), "{message}");
    let unreachable = "postgres://user:hunter2@127.0.0.1:1/none";
    let message = failure(folder.path(), &["--database", unreachable], &[("LICENSE_SECRET", &secret)]);
    assert!(message.contains("127.0.0.1:1/none") && !message.contains("hunter2"), "{message}");
    node(folder.path(), &url);
    let message = failure(folder.path(), &["--database", &url], &[("LICENSE_SECRET", &"ab".repeat(32))]);
    assert!(message.contains("the secret does not fit this database"), "{message}");
}

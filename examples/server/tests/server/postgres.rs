//! Several nodes on one PostgreSQL.

use std::thread;

use serde_json::json;
use tempfile::tempdir;
use test_database::TestDatabase;

use crate::limits::race;
use crate::process::{Server, refused};

pub(crate) const TOKEN: &str = "a-token-of-my-own-0123456789";

/// Starts a node on that database.
pub(crate) fn node(folder: &std::path::Path, url: &str) -> Server {
    node_with(folder, url, &[])
}

/// Likewise, with flags.
pub(crate) fn node_with(folder: &std::path::Path, url: &str, flags: &[&str]) -> Server {
    let secret = "5a".repeat(32);
    let env = [
        ("LICENSE_SECRET", secret.as_str()),
        ("LICENSE_DATABASE", url),
        ("LICENSE_DATABASE_TIMEOUT", "2"),
        ("LICENSE_ADMIN_TOKEN", TOKEN),
    ];
    Server::start_with(folder, flags, &env)
}

/// 48 callers, half of them on each of two nodes, ten rounds, domains and devices.
#[tokio::test]
async fn two_nodes_hold_one_limit() {
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

/// Nodes that start at once on an empty database make it once; the password stands in no banner.
#[tokio::test]
async fn nodes_start_at_once_on_an_empty_database() {
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
        assert!(!node.banner.contains(password), "{}", node.banner);
    }
    for node in &nodes {
        let body = json!({"key": license["key"]});
        assert_eq!(node.call("POST", "/api/v1/validate", None, Some(&body)).1["valid"], true);
    }
}

#[tokio::test]
async fn a_start_that_fails_says_why() {
    let Some(database) = TestDatabase::new().await else { return };
    let folder = tempdir().unwrap();
    let url = database.url();
    let secret = "5a".repeat(32);
    let said = refused(folder.path(), &["--database", &url], &[]);
    assert!(said.contains("LICENSE_SECRET must be set"), "{said}");
    let nobody = "postgres://user:hunter2@127.0.0.1:1/none";
    let said = refused(folder.path(), &["--database", nobody], &[("LICENSE_SECRET", &secret)]);
    assert!(said.contains("127.0.0.1:1/none") && !said.contains("hunter2"), "{said}");
    node(folder.path(), &url);
    let said = refused(folder.path(), &["--database", &url], &[("LICENSE_SECRET", &"ab".repeat(32))]);
    assert!(said.contains("the secret does not fit this database"), "{said}");
}

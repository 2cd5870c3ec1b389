use serde_json::json;

use super::app::TestApp;
use super::call::Call;

/// Every call that changes one license.
fn changes(app: &TestApp, path: &str) -> Vec<Call> {
    let mut calls = vec![app.admin("PUT", path).json(&json!({ "metadata": {"a": 1} }))];
    calls.extend(
        [
            ("POST", "/suspend"),
            ("POST", "/reinstate"),
            ("POST", "/renew"),
            ("POST", "/rotate-key"),
            ("DELETE", "/activations/act_1"),
            ("DELETE", ""),
        ]
        .map(|(method, rest)| app.admin(method, &format!("{path}{rest}"))),
    );
    calls
}

#[tokio::test]
async fn a_stale_version_changes_nothing() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    app.put(&license.path, json!({ "max_devices": 9 })).await;
    let before = app.get(&license.path).await;
    assert_eq!(before.header("etag"), Some("\"2\""));
    for tag in ["\"1\"", "\"3\"", "W/\"2\"", "\"02\"", "\"\"", "\"other\"", "\"99999999999999999999\""] {
        for call in changes(&app, &license.path) {
            let target = call.target.clone();
            let reply = call.header("if-match", tag).send(&app.router).await;
            assert_eq!(reply.fault(), (412, "LICENSE_STALE".to_owned(), None), "{tag} {target}");
        }
    }
    assert_eq!(app.get(&license.path).await.text(), before.text());
}

#[tokio::test]
async fn the_version_there_is_or_any_lets_it_pass() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    for tag in ["*", "\"{}\""] {
        for call in changes(&app, &license.path) {
            if call.target.contains("act_1") || (tag == "*" && call.target == license.path) {
                continue;
            }
            let version = app.get(&license.path).await.json()["version"].to_string();
            let target = call.target.clone();
            let reply = call.header("if-match", tag.replace("{}", &version)).send(&app.router).await;
            assert_eq!(reply.status, 200, "{target}: {}", reply.text());
        }
    }
    assert_eq!(app.get(&license.path).await.json()["status"], "revoked");
}

#[tokio::test]
async fn of_two_with_the_same_version_one_wins() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let put = |slots: u32| {
        app.admin("PUT", &license.path).header("if-match", "\"1\"").json(&json!({ "max_devices": slots }))
    };
    assert_eq!(put(5).send(&app.router).await.status, 200);
    let reply = put(6).send(&app.router).await;
    let expected = json!({
        "type": "about:blank",
        "title": "Precondition Failed",
        "status": 412,
        "detail": "The license has changed since: its version is 2 now.",
        "code": "LICENSE_STALE",
        "error": "LICENSE_STALE",
    });
    assert_eq!((reply.status, reply.json()), (412, expected));
    assert_eq!(app.get(&license.path).await.json()["max_devices"], 5);
}

#[tokio::test]
async fn a_license_that_is_not_there_is_not_found_whatever_is_matched() {
    let app = TestApp::new().await;
    for tag in ["*", "\"1\"", "W/\"1\""] {
        for call in changes(&app, "/api/v1/licenses/lic_nobody") {
            let reply = call.header("if-match", tag).send(&app.router).await;
            assert_eq!(reply.fault(), (404, "LICENSE_NOT_FOUND".to_owned(), None), "{tag}");
        }
    }
}

use serde_json::json;

use super::app::TestApp;
use super::call::Call;

/// Returns every call that changes one license.
fn changes(app: &TestApp, path: &str) -> Vec<Call> {
    let mut calls = vec![
        app.admin("PUT", path).json(&json!({ "metadata": {"a": 1} })),
        app.admin("POST", &format!("{path}/grants")).json(&json!({ "feature": "a", "value": 1 })),
        app.admin("DELETE", &format!("{path}/grants?feature=a")),
    ];
    calls.extend(
        [
            ("POST", "/suspend"),
            ("POST", "/reinstate"),
            ("POST", "/renew"),
            ("POST", "/rotate-key"),
            ("DELETE", "/activations/act_1"),
            ("POST", "/activations/act_1/block"),
            ("DELETE", "/blocked/blk_1"),
            ("DELETE", ""),
        ]
        .map(|(method, rest)| app.admin(method, &format!("{path}{rest}"))),
    );
    calls
}

#[tokio::test]
async fn stale_version_is_denied() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    app.put(&license.path, json!({ "max_devices": 9 })).await;
    let before = app.get(&license.path).await;
    assert_eq!(before.header("etag"), Some("\"2\""));
    for tag in ["\"1\"", "\"3\"", "W/\"1\"", "\"02\"", "\"\"", "\"other\"", "\"99999999999999999999\""] {
        for call in changes(&app, &license.path) {
            let target = call.target.clone();
            let reply = call.header("if-match", tag).send(&app.router).await;
            assert_eq!(reply.fault(), (412, "LICENSE_STALE".to_owned(), None), "{tag} {target}");
        }
    }
    assert_eq!(app.get(&license.path).await.text(), before.text());
}

#[tokio::test]
async fn current_version_or_any_passes() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    for tag in ["*", "W/\"{}\"", "\"{}\""] {
        for call in changes(&app, &license.path) {
            if call.target.contains("act_1")
                || call.target.contains("blk_1")
                || (!tag.starts_with('"') && call.target == license.path)
            {
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
async fn second_change_with_the_same_version_is_stale() {
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
        "detail": "The license has changed: its version is now 2.",
        "code": "LICENSE_STALE",
        "error": "LICENSE_STALE",
    });
    assert_eq!((reply.status, reply.json()), (412, expected));
    assert_eq!(app.get(&license.path).await.json()["max_devices"], 5);
}

#[tokio::test]
async fn unknown_license_is_not_found_for_any_version() {
    let app = TestApp::new().await;
    for tag in ["*", "\"1\"", "W/\"1\""] {
        for call in changes(&app, "/api/v1/licenses/lic_unknown") {
            let reply = call.header("if-match", tag).send(&app.router).await;
            assert_eq!(reply.fault(), (404, "LICENSE_NOT_FOUND".to_owned(), None), "{tag}");
        }
    }
}

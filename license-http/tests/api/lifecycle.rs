use chrono::TimeDelta;
use serde_json::json;

use super::app::TestApp;

#[tokio::test]
async fn revocation_is_final_and_repeatable() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let first = app.delete(&license.path).await;
    assert_eq!((first.status, &first.json()["status"]), (200, &json!("revoked")));
    let second = app.delete(&license.path).await;
    assert_eq!((second.status, second.text()), (200, first.text()));
    for rest in ["suspend", "reinstate", "renew", "rotate-key"] {
        let reply = app.post(&format!("{}/{rest}", license.path)).await;
        assert_eq!(reply.fault(), (409, "LICENSE_REVOKED".to_owned(), None), "{rest}");
    }
    let reply = app.put(&license.path, json!({ "status": "active" })).await;
    assert_eq!(reply.fault(), (409, "LICENSE_REVOKED".to_owned(), None));
    let expected = r#"{"type":"about:blank","title":"Conflict","status":409,"detail":"This license was revoked.","code":"LICENSE_REVOKED","error":"LICENSE_REVOKED"}"#;
    assert_eq!(reply.text(), expected);
}

#[tokio::test]
async fn suspend_and_reinstate_are_repeatable() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    for (verb, status, version) in [
        ("suspend", "suspended", 2),
        ("suspend", "suspended", 2),
        ("reinstate", "active", 3),
        ("reinstate", "active", 3),
    ] {
        let reply = app.post(&format!("{}/{verb}", license.path)).await;
        let (body, expected) = (reply.json(), json!([status, version]));
        assert_eq!((reply.status, json!([body["status"], body["version"]])), (200, expected), "{verb}");
        assert_eq!(reply.header("etag"), Some(format!("\"{version}\"").as_str()));
    }
}

#[tokio::test]
async fn renewal_adds_the_term_of_the_plan() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let renew = format!("{}/renew", license.path);
    assert_eq!(app.post(&renew).await.json()["expires_at"], "2028-01-01T00:00:00Z");
    app.advance(TimeDelta::days(3 * 365));
    assert_eq!(app.get(&license.path).await.json()["status"], "expired");
    let renewed = app.post(&renew).await.json();
    assert_eq!(json!([renewed["status"], renewed["expires_at"]]), json!(["active", "2029-12-31T00:00:00Z"]));

    let perpetual = app.issue("perpetual").await;
    let reply = app.post(&format!("{}/renew", perpetual.path)).await;
    assert_eq!(reply.fault(), (409, "LICENSE_PERPETUAL".to_owned(), None));

    // No field is at fault, so this is not 422.
    app.put(&license.path, json!({ "expires_at": "9999-12-31T00:00:00Z" })).await;
    assert_eq!(app.post(&renew).await.fault(), (409, "EXPIRY_TOO_FAR".to_owned(), None));
}

#[tokio::test]
async fn rotated_key_replaces_the_old_one() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let rotated = app.post(&format!("{}/rotate-key", license.path)).await.json();
    let key = rotated["key"].as_str().unwrap();
    assert_ne!(key, license.key);
    assert_eq!(app.validate(json!({ "key": license.key })).await.status, 404);
    assert_eq!(app.validate(json!({ "key": key })).await.json()["valid"], true);
}

#[tokio::test]
async fn commands_accept_an_empty_object() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let suspend = || app.admin("POST", &format!("{}/suspend", license.path));
    for call in [suspend(), suspend().json_text("{}"), suspend().json_text(" { } "), suspend().json_text("")]
    {
        assert_eq!(call.send(&app.router).await.status, 200);
    }
}

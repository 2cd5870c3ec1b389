//! Unknown fields of calls with a license key: errors with a hint, or ignored if the caller prefers that.

use serde_json::{Value, json};

use super::app::TestApp;
use super::call::{Call, Reply};

async fn send(app: &TestApp, path: &str, body: &Value, prefer: Option<&str>) -> Reply {
    let call = Call::new("POST", path).json(body);
    prefer.into_iter().fold(call, |call, value| call.header("prefer", value)).send(&app.router).await
}

const VALIDATE: &str = "/api/v1/validate";

#[tokio::test]
async fn unknown_field_is_an_error_that_names_the_known_ones() {
    let app = TestApp::new().await;
    let key = app.issue("starter").await.key;
    for (field, prefer, message) in [
        (
            "device",
            None,
            "This field is unknown; did you mean fingerprint? Known fields: key, domain, fingerprint, client, released_at, product, features, activate, nonce.",
        ),
        (
            "device",
            Some("handling=strict"),
            "This field is unknown; did you mean fingerprint? Known fields: key, domain, fingerprint, client, released_at, product, features, activate, nonce.",
        ),
        (
            "Domain",
            None,
            "This field is unknown; did you mean domain? Known fields: key, domain, fingerprint, client, released_at, product, features, activate, nonce.",
        ),
        (
            "fingerprnt",
            Some("respond-async"),
            "This field is unknown; did you mean fingerprint? Known fields: key, domain, fingerprint, client, released_at, product, features, activate, nonce.",
        ),
    ] {
        let reply = send(&app, VALIDATE, &json!({ "key": key, field: "a" }), prefer).await;
        assert_eq!(reply.fault(), (400, "BAD_REQUEST".to_owned(), Some(field.to_owned())));
        assert_eq!(reply.json()["message"], message);
        assert_eq!(reply.header("preference-applied"), None);
    }
}

#[tokio::test]
async fn lenient_call_ignores_and_lists_unknown_fields() {
    let app = TestApp::new().await;
    let license = app.issue("roaming").await;
    let gone = app.issue("starter").await;
    app.post(&format!("{}/rotate-key", gone.path)).await;
    let lenient = Some("handling=lenient");
    let of = |key: &str, more: Value| {
        let mut body = json!({ "key": key, "device": "x", "zz": {"a": [1]} });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (path, body, status, field, value) in [
        (VALIDATE, of(&license.key, json!({"fingerprint": "a"})), 200, "valid", json!(true)),
        (
            VALIDATE,
            of(&license.key, json!({"domain": "localhost", "client": null})),
            200,
            "valid",
            json!(true),
        ),
        (VALIDATE, of(&gone.key, json!({})), 404, "error", json!("LICENSE_NOT_FOUND")),
        ("/api/v1/deactivate", of(&license.key, json!({"fingerprint": "a"})), 200, "released", json!(true)),
        (
            "/api/v1/deactivate",
            of(&license.key, json!({"fingerprint": "b"})),
            200,
            "error",
            json!("ACTIVATION_NOT_FOUND"),
        ),
        (
            "/api/v1/deactivate",
            of(&gone.key, json!({"domain": "a.com"})),
            404,
            "error",
            json!("LICENSE_NOT_FOUND"),
        ),
    ] {
        let reply = send(&app, path, &body, lenient).await;
        assert_eq!((reply.status, &reply.json()[field]), (status, &value), "{body}: {}", reply.text());
        assert_eq!(reply.json()["ignored"], json!(["device", "zz"]), "{body}");
        assert_eq!(reply.header("preference-applied"), Some("handling=lenient"));
    }
    app.delete(&license.path).await;
    let denied = send(&app, VALIDATE, &of(&license.key, json!({})), lenient).await;
    assert_eq!(denied.json()["error"], "LICENSE_REVOKED");
    assert_eq!(denied.json()["ignored"], json!(["device", "zz"]));
    // Without unknown fields, the answer is the usual one.
    let reply = send(&app, VALIDATE, &json!({ "key": license.key }), lenient).await;
    assert_eq!(reply.json()["ignored"], Value::Null);
    // Known fields are checked as ever.
    let reply = send(&app, VALIDATE, &json!({ "key": license.key, "domain": "-", "x": 1 }), lenient).await;
    assert_eq!(reply.fault().1, "DOMAIN_INVALID");
}

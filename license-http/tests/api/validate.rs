use chrono::TimeDelta;
use serde_json::{Value, json};

use super::app::{EMAIL, NOW, TestApp, fault_store};
use super::call::Call;
use license_store::faults::Fault;

#[tokio::test]
async fn valid_license_takes_slots_and_is_counted() {
    let app = TestApp::new().await;
    let license = app.issue("professional").await;
    let body =
        json!({ "key": license.key, "domain": "https://www.example.com/", "fingerprint": "machine-1" });
    let reply = app.validate(body.clone()).await;
    let expected = r#"{"valid":true,"license":{"plan":"professional","expiresAt":"2027-01-01T00:00:00Z","features":{"api":true,"support":"email"}},"usage":{"domains":{"used":1,"limit":3},"devices":{"used":1,"limit":10}}}"#;
    assert_eq!((reply.status, reply.text()), (200, expected));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    app.advance(TimeDelta::milliseconds(1500));
    assert_eq!(app.validate(body).await.text(), expected);

    let license = app.get(&license.path).await.json();
    assert_eq!(
        json!([
            license["domains"],
            license["devices"],
            license["validation_count"],
            license["last_validated_at"],
            license["activated_at"],
        ]),
        json!([["example.com"], ["machine-1"], 2, "2026-01-01T00:00:01.500Z", "2026-01-01T00:00:00Z"])
    );
}

#[tokio::test]
async fn null_is_absent_and_perpetual_license_has_null_expiry() {
    let app = TestApp::new().await;
    let license = app.issue("perpetual").await;
    let reply = app.validate(json!({ "key": license.key, "domain": null, "fingerprint": null })).await;
    let expected = r#"{"valid":true,"license":{"plan":"perpetual","expiresAt":null,"features":{}},"usage":{"domains":{"used":0,"limit":null},"devices":{"used":0,"limit":0}}}"#;
    assert_eq!((reply.status, reply.text()), (200, expected));
}

#[tokio::test]
async fn unknown_key_is_not_found() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    app.post(&format!("{}/rotate-key", license.path)).await;
    let reply = app.validate(json!({ "key": license.key })).await;
    assert_eq!((reply.status, reply.text()), (404, r#"{"valid":false,"error":"LICENSE_NOT_FOUND"}"#));
}

#[tokio::test]
async fn built_in_plans_have_no_grace() {
    let app = TestApp::new().await;
    for plan in ["starter", "professional", "enterprise"] {
        let license = app.issue(plan).await;
        assert_eq!(app.put(&license.path, json!({ "expires_at": NOW })).await.status, 200);
        let reply = app.validate(json!({ "key": license.key })).await;
        assert_eq!(reply.json()["error"], "LICENSE_EXPIRED", "{plan}");
    }
}

#[tokio::test]
async fn denial_has_code_and_message_and_is_not_counted() {
    let app = TestApp::new().await;
    let spec = |more: Value| {
        let mut spec = json!({ "plan": "starter", "customer_email": EMAIL });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    for (more, change, claim, code, message) in [
        (json!({}), json!({"status": "revoked"}), json!({}), "LICENSE_REVOKED", "This license was revoked."),
        (
            json!({}),
            json!({"status": "suspended"}),
            json!({}),
            "LICENSE_SUSPENDED",
            "This license is suspended.",
        ),
        (
            json!({}),
            json!({"expires_at": "2025-12-31T00:00:00Z"}),
            json!({}),
            "LICENSE_EXPIRED",
            "This license expired at 2025-12-31T00:00:00Z.",
        ),
        (
            json!({"domains": ["one.example"]}),
            json!({}),
            json!({"domain": "two.example"}),
            "DOMAIN_LIMIT_REACHED",
            "1 of 1 domains are in use.",
        ),
        (
            json!({"plan": "registered"}),
            json!({}),
            json!({"domain": "two.example"}),
            "DOMAIN_NOT_ALLOWED",
            "The domain two.example is not registered for this license.",
        ),
        (
            json!({"max_devices": 0}),
            json!({}),
            json!({"fingerprint": "machine-1"}),
            "DEVICE_LIMIT_REACHED",
            "0 of 0 devices are in use.",
        ),
    ] {
        let license = app.issue_with(spec(more)).await;
        assert_eq!(app.put(&license.path, change).await.status, 200);
        let mut body = claim;
        body["key"] = license.key.as_str().into();
        let reply = app.validate(body).await;
        let shown = app.get(&license.path).await.json();
        let slots = |used: &str, limit: &str| json!({ "used": shown[used], "limit": shown[limit] });
        let mut devices = slots("devices_used", "max_devices");
        if code == "DEVICE_LIMIT_REACHED" {
            (devices["held"], devices["next_free_at"]) = (json!(0), json!(null));
        }
        let expected = json!({
            "valid": false, "error": code, "message": message, "reasons": [code],
            "license": { "plan": shown["plan"], "product": "default", "expiresAt": shown["expires_at"] },
            "usage": { "domains": slots("domains_used", "max_domains"), "devices": devices },
        });
        assert_eq!((reply.status, reply.json()), (200, expected));
        assert!(reply.text().starts_with(r#"{"valid":false,"error":""#));
        let license = app.get(&license.path).await.json();
        assert_eq!(
            json!([license["validation_count"], license["last_validated_at"]]),
            json!([0, null]),
            "{code}"
        );
    }
}

#[tokio::test]
async fn mistyped_key_gets_a_suggestion() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let last = if license.key.ends_with('0') { "1" } else { "0" };
    let typo = format!("{}{last}", &license.key[..license.key.len() - 1]);
    let reply = app.validate(json!({ "key": typo })).await;
    let expected = json!({
        "valid": false,
        "error": "LICENSE_KEY_MALFORMED",
        "message": "The license key is mistyped: its check symbols do not match.",
        "suggestion": license.key,
        "field": "key",
    });
    assert_eq!((reply.status, reply.json()), (400, expected));
}

#[tokio::test]
async fn other_spellings_of_a_key_are_accepted() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let typed = format!(" {} ", license.key.to_lowercase().replace('-', " ").replace('0', "o"));
    assert_eq!(app.validate(json!({ "key": typed })).await.json()["valid"], true);
    // JSON escapes are decoded.
    let escaped = license.key.replace('-', "\\u002d");
    let call = Call::new("POST", "/api/v1/validate").json_text(format!(r#"{{"key":"{escaped}"}}"#));
    assert_eq!(call.send(&app.router).await.json()["valid"], true);
}

#[tokio::test]
async fn json_media_types_are_accepted() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    for media_type in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/json; profile=x",
        "application/vnd.vendor.v1+json",
    ] {
        let call = Call::new("POST", "/api/v1/validate")
            .header("content-type", media_type)
            .header("content-encoding", "identity")
            .body(json!({ "key": license.key }).to_string());
        assert_eq!(call.send(&app.router).await.json()["valid"], true, "{media_type}");
    }
}

#[tokio::test]
async fn answers_during_an_outage_are_marked() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    let license = app.issue("starter").await;
    let call = Call::new("POST", "/api/v1/validate").json(&json!({ "key": license.key }));
    assert_eq!(call.send(&app.router).await.header("x-license-store"), None);
    store.set(Fault::Unavailable);
    assert_eq!(call.send(&app.router).await.header("x-license-store"), Some("down"));
}

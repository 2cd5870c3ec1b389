//! Terms that start with the first use, updates windows and slots beyond the limit.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::app::{EMAIL, TestApp};

#[tokio::test]
async fn first_validation_starts_the_term() {
    let app = TestApp::new().await;
    let license = app.issue("boxed").await;
    let shown = |license: &Value| json!([license["status"], license["expires_at"], license["term"]]);
    let waiting = app.get(&license.path).await.json();
    assert_eq!(shown(&waiting), json!(["active", null, { "starts": "first_use", "started_at": null }]));
    assert_eq!(waiting["updates_until"], Value::Null);
    let renewed = app.post(&format!("{}/renew", license.path)).await;
    assert_eq!(renewed.fault(), (409, "TERM_NOT_STARTED".to_owned(), None));

    app.advance(TimeDelta::days(30));
    let body = json!({ "key": license.key });
    let expected = r#"{"valid":true,"license":{"plan":"boxed","expiresAt":"2027-01-31T00:00:00Z","features":{},"updatesUntil":"2026-07-31T00:00:00Z"},"usage":{"domains":{"used":0,"limit":null},"devices":{"used":0,"limit":null}}}"#;
    assert_eq!(app.validate(body.clone()).await.text(), expected);
    app.advance(TimeDelta::days(1));
    assert_eq!(app.validate(body).await.text(), expected, "once");
    let started = app.get(&license.path).await.json();
    let term = json!({ "starts": "first_use", "started_at": "2026-01-31T00:00:00Z" });
    assert_eq!(shown(&started), json!(["active", "2027-01-31T00:00:00Z", term]));
    let renewed = app.post(&format!("{}/renew", license.path)).await.json();
    assert_eq!(renewed["expires_at"], "2028-01-31T00:00:00Z");
}

#[tokio::test]
async fn expiry_of_a_request_ends_the_wait() {
    let app = TestApp::new().await;
    let license = app.issue("boxed").await;
    let same = app.put(&license.path, json!({ "expires_at": null })).await.json();
    assert_eq!(same["version"], 1, "a value that is sent back changes nothing");
    let changed = app.put(&license.path, json!({ "expires_at": "2026-05-31T00:00:00Z" })).await.json();
    assert_eq!(changed["term"]["started_at"], "2026-01-01T00:00:00Z");
    assert_eq!(
        app.validate(json!({ "key": license.key })).await.json()["license"]["expiresAt"],
        "2026-05-31T00:00:00Z"
    );
    let spec = json!({ "plan": "boxed", "customer_email": EMAIL, "expires_at": null });
    let perpetual = app.create(spec).await.json();
    assert_eq!(json!([perpetual["expires_at"], perpetual["term"]["starts"]]), json!([null, "issue"]));
}

#[tokio::test]
async fn uncovered_version_is_denied_with_the_date() {
    let app = TestApp::new().await;
    let license = app.issue("boxed").await;
    app.validate(json!({ "key": license.key })).await;
    for (released_at, valid) in [
        (json!(null), true),
        (json!("2026-07-01T00:00:00Z"), true),
        (json!("2026-07-01T02:00:00+02:00"), true),
        (json!("2026-07-01T00:00:00.000001Z"), false),
    ] {
        let reply = app.validate(json!({ "key": license.key, "released_at": released_at })).await;
        assert_eq!((reply.status, &reply.json()["valid"]), (200, &json!(valid)), "{released_at}");
    }
    for refused in [json!(17), json!("2027-01-31"), json!("tomorrow")] {
        let reply = app.validate(json!({ "key": license.key, "released_at": refused })).await;
        assert_eq!(reply.fault(), (400, "BAD_REQUEST".to_owned(), Some("released_at".to_owned())));
    }
    let reply = app.validate(json!({ "key": license.key, "released_at": "2027-01-01T00:00:00Z" })).await;
    let expected = r#"{"valid":false,"error":"VERSION_NOT_COVERED","message":"This license covers versions released until 2026-07-01T00:00:00Z.","#;
    assert!(reply.text().starts_with(expected), "{}", reply.text());
    assert_eq!(reply.json()["license"]["updatesUntil"], "2026-07-01T00:00:00Z");
}

#[tokio::test]
async fn expired_license_runs_old_versions_on_held_devices() {
    let app = TestApp::new().await;
    let license = app.issue("fallback").await;
    let ask = async |device: &str, released_at: Value| {
        let body = json!({ "key": license.key, "fingerprint": device, "released_at": released_at });
        let reply = app.validate(body).await.json();
        reply["error"].as_str().map_or("VALID".to_owned(), ToOwned::to_owned)
    };
    assert_eq!(ask("held", Value::Null).await, "VALID");
    app.advance(TimeDelta::days(31));
    let old = json!("2026-01-15T00:00:00Z");
    for (device, released_at, expected) in [
        ("held", old.clone(), "VALID"),
        ("held", json!("2026-02-15T00:00:00Z"), "VERSION_NOT_COVERED"),
        ("held", Value::Null, "LICENSE_EXPIRED"),
        ("new", old, "LICENSE_EXPIRED"),
    ] {
        assert_eq!(ask(device, released_at.clone()).await, expected, "{device} {released_at}");
    }
}

#[tokio::test]
async fn answers_say_that_the_license_is_over_its_limit() {
    let app = TestApp::new().await;
    let license = app.issue("generous").await;
    let ask = async |device: &str| {
        app.validate(json!({ "key": license.key, "fingerprint": device })).await.text().to_owned()
    };
    let within = r#"{"valid":true,"license":{"plan":"generous","expiresAt":null,"features":{}},"usage":{"domains":{"used":0,"limit":null},"devices":{"used":1,"limit":1}}}"#;
    let over = r#"{"valid":true,"license":{"plan":"generous","expiresAt":null,"features":{}},"usage":{"domains":{"used":0,"limit":null},"devices":{"used":2,"limit":1}},"over_limit":true}"#;
    let full = r#"{"valid":false,"error":"DEVICE_LIMIT_REACHED","message":"2 of 1 devices are in use.","reasons":["DEVICE_LIMIT_REACHED"],"license":{"plan":"generous","product":"default","expiresAt":null},"usage":{"domains":{"used":0,"limit":null},"devices":{"used":2,"limit":1,"held":0,"next_free_at":null}}}"#;
    for (device, expected) in [("a", within), ("a", within), ("b", over), ("a", over), ("c", full)] {
        assert_eq!(ask(device).await, expected, "{device}");
    }
}

#[tokio::test]
async fn listed_hosts_are_free() {
    let app = TestApp::new().await;
    let license = app.issue("staged").await;
    for (domain, used) in [("a.staging.example.net", 0), ("localhost", 0), ("example.net", 1)] {
        let reply = app.validate(json!({ "key": license.key, "domain": domain })).await.json();
        assert_eq!(reply["usage"]["domains"]["used"], used, "{domain}");
    }
    for wildcard in ["*.co.uk", "*.github.io"] {
        let reply = app.put(&license.path, json!({ "domains": [wildcard] })).await;
        assert_eq!(reply.fault(), (422, "INVALID_FIELD".to_owned(), Some("domains[0]".to_owned())));
        assert!(reply.text().contains("A wildcard of a public suffix"), "{}", reply.text());
    }
}

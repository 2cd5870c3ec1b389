use serde_json::{Value, json};

use super::app::{EMAIL, TestApp};
use super::call::{Call, Reply};

async fn deactivate(app: &TestApp, body: Value) -> Reply {
    Call::new("POST", "/api/v1/deactivate").json(&body).send(&app.router).await
}

#[tokio::test]
async fn customer_releases_a_slot_with_the_key() {
    let (app, _) = TestApp::with_access().await;
    let license = app.issue("roaming").await;
    let key = &license.key;
    app.validate(json!({ "key": key, "domain": "a.example", "fingerprint": "old" })).await;
    let reply = deactivate(&app, json!({ "key": key, "fingerprint": " old " })).await;
    let expected =
        r#"{"released":true,"usage":{"domains":{"used":1,"limit":3},"devices":{"used":0,"limit":1}}}"#;
    assert_eq!((reply.status, reply.text()), (200, expected));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let again = deactivate(&app, json!({ "key": key, "fingerprint": "old" })).await;
    let expected = r#"{"released":false,"error":"ACTIVATION_NOT_FOUND","message":"The license has no such activation."}"#;
    assert_eq!((again.status, again.text()), (200, expected));
    let domain =
        deactivate(&app, json!({ "key": key, "domain": "https://A.example/", "fingerprint": null })).await;
    assert_eq!(domain.json()["usage"]["domains"]["used"], 0);
    // Another device can take the slot.
    assert_eq!(app.validate(json!({ "key": key, "fingerprint": "new" })).await.json()["valid"], true);

    let audit = app.get(&format!("/api/v1/audit?license={}", license.id)).await.json();
    let entry = &audit["data"][1];
    assert_eq!(entry["action"], "activation.deactivate");
    assert_eq!(entry["actor"], json!({ "kind": "customer", "token_id": null, "name": null }));
    assert_eq!(entry["changes"]["activations"]["before"][0]["name"], "old");
    let events = app.get("/api/v1/events?type=activation.released").await.json();
    assert_eq!(events["data"][1]["data"]["cause"], "customer");
    assert_eq!(events["data"][1]["data"]["activation"]["name"], "old");
}

#[tokio::test]
async fn release_is_denied_by_plan_or_for_registered_domain() {
    let app = TestApp::new().await;
    let spec = json!({ "plan": "roaming", "customer_email": EMAIL, "domains": ["*.shop.example"] });
    for (license, holder, error, message) in [
        (
            app.issue("starter").await,
            json!({ "fingerprint": "a" }),
            "RELEASE_NOT_ALLOWED",
            "Only the vendor can free slots of this license.",
        ),
        (
            app.issue_with(spec).await,
            json!({ "domain": "de.shop.example" }),
            "DOMAIN_REGISTERED",
            "The domain *.shop.example was registered by the vendor; only the vendor can free its slot.",
        ),
    ] {
        app.validate(json!({ "key": license.key, "fingerprint": "a" })).await;
        let mut body = holder;
        body["key"] = license.key.as_str().into();
        let reply = deactivate(&app, body).await;
        assert_eq!(
            (reply.status, reply.json()),
            (200, json!({ "released": false, "error": error, "message": message }))
        );
        assert_eq!(app.get(&license.path).await.json()["devices_used"], 1, "nothing was released");
        app.delete(&license.path).await;
        let reply = deactivate(&app, json!({ "key": license.key, "fingerprint": "a" })).await;
        assert_eq!(reply.json()["error"], "LICENSE_REVOKED");
    }
}

/// The ids come from the list of activations.
#[tokio::test]
async fn customer_releases_a_slot_by_its_id() {
    let app = TestApp::new().await;
    let license = app.issue("roaming").await;
    let key = &license.key;
    app.validate(json!({ "key": key, "domain": "a.example", "fingerprint": "old" })).await;
    let listed = app.get(&format!("{}/activations", license.path)).await.json();
    for (index, used) in [(0, json!([0, 1])), (1, json!([0, 0]))] {
        let id = &listed["data"][index]["id"];
        let released = deactivate(&app, json!({ "key": key, "activation_id": id })).await.json();
        assert_eq!(released["released"], true);
        let usage = &released["usage"];
        assert_eq!(json!([usage["domains"]["used"], usage["devices"]["used"]]), used);
        let again = deactivate(&app, json!({ "key": key, "activation_id": id })).await;
        assert_eq!((again.status, &again.json()["error"]), (200, &json!("ACTIVATION_NOT_FOUND")));
    }
    let other = app.issue("roaming").await;
    app.validate(json!({ "key": other.key, "fingerprint": "a" })).await;
    let of_other = app.get(&format!("{}/activations", other.path)).await.json()["data"][0]["id"].clone();
    let denied = deactivate(&app, json!({ "key": key, "activation_id": of_other })).await;
    assert_eq!(denied.json()["error"], "ACTIVATION_NOT_FOUND", "of another license");
    assert_eq!(app.get(&other.path).await.json()["devices_used"], 1);
}

#[tokio::test]
async fn unknown_key_is_not_found() {
    let app = TestApp::new().await;
    let license = app.issue("roaming").await;
    app.post(&format!("{}/rotate-key", license.path)).await;
    let reply = deactivate(&app, json!({ "key": license.key, "fingerprint": "a" })).await;
    assert_eq!((reply.status, reply.text()), (404, r#"{"valid":false,"error":"LICENSE_NOT_FOUND"}"#));
}

#[tokio::test]
async fn new_device_evicts_the_oldest_if_the_plan_allows() {
    let app = TestApp::new().await;
    let license = app.issue("roaming").await;
    let key = &license.key;
    let devices = || async { app.get(&license.path).await.json()["devices"].clone() };
    for name in ["one", "two", "two", "three"] {
        app.advance(chrono::TimeDelta::seconds(1));
        let reply = app.validate(json!({ "key": key, "fingerprint": name })).await;
        assert_eq!(reply.json()["usage"]["devices"], json!({ "used": 1, "limit": 1 }), "{}", reply.text());
        assert_eq!(devices().await, json!([name]));
    }
    let events = app.get("/api/v1/events").await.json();
    let types: Vec<_> =
        events["data"].as_array().unwrap().iter().map(|event| event["type"].clone()).collect();
    assert_eq!(
        types[..2],
        ["activation.created", "activation.released"],
        "newest first: released, then created"
    );
    assert_eq!(events["data"][1]["data"]["cause"], "evicted");
    assert_eq!(events["data"][1]["data"]["activation"]["name"], "two");
}

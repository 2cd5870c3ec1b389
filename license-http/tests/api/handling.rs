//! Reasons, blocks, batches, and what a customer sees.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use license_core::limits;
use serde_json::{Value, json};

use super::app::{EMAIL, Issued, TestApp};
use super::call::{Call, Reply};

async fn post(app: &TestApp, target: &str, body: Value) -> Reply {
    app.admin("POST", target).json(&body).send(&app.router).await
}

async fn delete(app: &TestApp, target: &str, body: Value) -> Reply {
    app.admin("DELETE", target).json(&body).send(&app.router).await
}

async fn newest_event(app: &TestApp) -> Value {
    app.get("/api/v1/events?limit=1").await.json()["data"][0].clone()
}

async fn newest_entry(app: &TestApp) -> Value {
    app.get("/api/v1/audit?limit=1").await.json()["data"][0].clone()
}

async fn error_of(app: &TestApp, license: &Issued, claim: Value) -> Value {
    let mut body = claim;
    body["key"] = license.key.as_str().into();
    app.validate(body).await.json()["error"].clone()
}

#[tokio::test]
async fn reason_is_on_license_event_and_audit() {
    let (app, _) = TestApp::with_access().await;
    let license = app.issue("starter").await;
    let (suspend, reason) = (format!("{}/suspend", license.path), json!({ "reason": " chargeback " }));
    let suspended = post(&app, &suspend, reason.clone()).await;
    assert_eq!((suspended.status, &suspended.json()["state_reason"]), (200, &json!("chargeback")));
    let event = newest_event(&app).await;
    assert_eq!(json!([event["type"], event["data"]["reason"]]), json!(["license.suspended", "chargeback"]));
    assert_eq!(event["data"]["license"]["state_reason"], "chargeback");
    let entry = newest_entry(&app).await;
    assert_eq!(json!([entry["action"], entry["reason"]]), json!(["license.suspend", "chargeback"]));
    let reinstated = app.post(&format!("{}/reinstate", license.path)).await;
    assert_eq!(reinstated.json()["state_reason"], Value::Null);
    let put = app.put(&license.path, json!({ "status": "suspended", "reason": "unpaid" })).await;
    assert_eq!((put.status, &put.json()["state_reason"]), (200, &json!("unpaid")));
    let again = post(&app, &suspend, json!({ "reason": null })).await;
    assert_eq!((again.status, again.json()["version"].clone()), (200, put.json()["version"].clone()));
    let revoked = delete(&app, &license.path, json!({ "reason": "fraud" })).await;
    assert_eq!(
        json!([revoked.json()["status"], revoked.json()["state_reason"]]),
        json!(["revoked", "fraud"])
    );
    assert_eq!(newest_entry(&app).await["reason"], "fraud");
}

#[tokio::test]
async fn release_has_a_reason() {
    let (app, _) = TestApp::with_access().await;
    let license = app.issue("starter").await;
    app.validate(json!({ "key": license.key, "fingerprint": "a" })).await;
    let activations = app.get(&format!("{}/activations", license.path)).await.json();
    let target = format!("{}/activations/{}", license.path, activations["data"][0]["id"].as_str().unwrap());
    let released = delete(&app, &target, json!({ "reason": "stolen" })).await;
    assert_eq!(json!([released.status, released.json()["devices_used"]]), json!([200, 0]));
    let data = newest_event(&app).await["data"].clone();
    assert_eq!(json!([data["cause"], data["reason"]]), json!(["admin", "stolen"]));
    assert_eq!(newest_entry(&app).await["reason"], "stolen");
    assert_eq!(app.get(&license.path).await.json()["state_reason"], Value::Null);
}

#[tokio::test]
async fn erasure_removes_reasons() {
    let (app, _) = TestApp::with_access().await;
    let license = app.issue("starter").await;
    let reason = json!({ "reason": "Ann Smith moved" });
    post(&app, &format!("{}/suspend", license.path), reason.clone()).await;
    post(
        &app,
        &format!("{}/blocked", license.path),
        json!({ "domain": "a.com", "reason": "Ann Smith moved" }),
    )
    .await;
    app.delete(&format!("/api/v1/customers/{EMAIL}")).await;
    for target in ["", "/blocked"].map(|rest| format!("{}{rest}", license.path)) {
        let shown = app.get(&target).await;
        assert!(!shown.text().contains("Ann"), "{target}: {}", shown.text());
    }
    for target in ["/api/v1/events", "/api/v1/audit"] {
        let shown = app.get(target).await;
        assert!(
            shown.text().contains("a.com") && !shown.text().contains("Ann"),
            "{target}: {}",
            shown.text()
        );
    }
}

#[tokio::test]
async fn blocked_activation_is_denied_until_it_is_unblocked() {
    let (app, _) = TestApp::with_access().await;
    let license = app.issue("roaming").await;
    let key = &license.key;
    app.validate(json!({ "key": key, "domain": "a.example", "fingerprint": "laptop" })).await;
    let activations = app.get(&format!("{}/activations", license.path)).await.json();
    for activation in activations["data"].as_array().unwrap() {
        let target = format!("{}/activations/{}/block", license.path, activation["id"].as_str().unwrap());
        let blocked = post(&app, &target, json!({ "reason": "stolen" })).await;
        assert_eq!(blocked.status, 200, "{}", blocked.text());
        assert!(blocked.header("etag").is_some());
        assert_eq!(app.post(&target).await.fault().1, "ACTIVATION_NOT_FOUND", "it was released");
    }
    let event = newest_event(&app).await;
    assert_eq!(json!([event["type"], event["data"]["reason"]]), json!(["activation.blocked", "stolen"]));
    assert_eq!(event["data"]["block"]["name"], "laptop");
    let entry = newest_entry(&app).await;
    assert_eq!(json!([entry["action"], entry["reason"]]), json!(["activation.block", "stolen"]));
    assert_eq!(entry["changes"]["blocked"]["after"][0]["name"], "laptop");
    let shown = app.get(&license.path).await.json();
    assert_eq!(json!([shown["domains_used"], shown["devices_used"]]), json!([0, 0]));
    assert_eq!(error_of(&app, &license, json!({ "fingerprint": "laptop" })).await, "DEVICE_BLOCKED");
    assert_eq!(
        error_of(&app, &license, json!({ "domain": "https://www.A.example" })).await,
        "DOMAIN_BLOCKED"
    );
    assert_eq!(error_of(&app, &license, json!({ "fingerprint": "other" })).await, Value::Null);
    // The customer cannot lift it.
    let released =
        Call::new("POST", "/api/v1/deactivate").json(&json!({ "key": key, "fingerprint": "laptop" }));
    assert_eq!(released.send(&app.router).await.json()["error"], "ACTIVATION_NOT_FOUND");
    assert_eq!(error_of(&app, &license, json!({ "fingerprint": "laptop" })).await, "DEVICE_BLOCKED");
    let denied = app.put(&license.path, json!({ "domains": ["a.example"] })).await;
    assert_eq!(denied.fault(), (422, "DOMAIN_BLOCKED".to_owned(), Some("domains".to_owned())));

    let blocks = app.get(&format!("{}/blocked", license.path)).await.json();
    let blocks = blocks["data"].as_array().unwrap();
    let shown: Vec<_> = blocks.iter().map(|one| json!([one["kind"], one["name"], one["reason"]])).collect();
    assert_eq!(shown, [json!(["domain", "a.example", "stolen"]), json!(["device", "laptop", "stolen"])]);
    for block in blocks {
        let target = format!("{}/blocked/{}", license.path, block["id"].as_str().unwrap());
        assert_eq!(app.delete(&target).await.status, 200);
        assert_eq!(app.delete(&target).await.fault().1, "BLOCK_NOT_FOUND");
        assert_eq!(newest_event(&app).await["type"], "activation.unblocked");
    }
    let claim = json!({ "domain": "a.example", "fingerprint": "laptop" });
    assert_eq!(error_of(&app, &license, claim).await, Value::Null);
}

#[tokio::test]
async fn name_can_be_blocked_before_it_is_used() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let blocked = format!("{}/blocked", license.path);
    for body in [json!({ "domain": "*.nulled.example" }), json!({ "fingerprint": "crack" })] {
        let first = post(&app, &blocked, body.clone()).await;
        assert_eq!(first.status, 200, "{}", first.text());
        assert_eq!(post(&app, &blocked, body).await.text(), first.text(), "a repeated call changes nothing");
    }
    assert_eq!(error_of(&app, &license, json!({ "domain": "x.nulled.example" })).await, "DOMAIN_BLOCKED");
    assert_eq!(error_of(&app, &license, json!({ "fingerprint": "crack" })).await, "DEVICE_BLOCKED");
    let outcomes = app.get(&format!("{}/usage", license.path)).await.json()["by_outcome"].clone();
    assert_eq!(outcomes, json!({ "DOMAIN_BLOCKED": 1, "DEVICE_BLOCKED": 1 }), "denials are counted");
}

async fn own_list(app: &TestApp, body: Value) -> Reply {
    Call::new("POST", "/api/v1/activations/list").json(&body).send(&app.router).await
}

#[tokio::test]
async fn customer_lists_activations_with_masked_names() {
    let app = TestApp::new().await;
    let license = app.issue("roaming").await;
    let key = &license.key;
    app.put(&license.path, json!({ "max_devices": 3 })).await;
    app.validate(json!({ "key": key, "domain": "a.example", "fingerprint": "8f14e45f-ceea" })).await;
    app.advance(TimeDelta::days(1));
    app.validate(json!({ "key": key, "domain": "a.example", "fingerprint": "pc-17" })).await;
    let activations = app.get(&format!("{}/activations?kind=device", license.path)).await.json();
    let first = format!("{}/activations/{}", license.path, activations["data"][0]["id"].as_str().unwrap());
    app.admin("PATCH", &first).json(&json!({ "label": "Office" })).send(&app.router).await;
    let listed =
        own_list(&app, json!({ "key": key, "fingerprint": "pc-17", "domain": "www.a.example" })).await;
    assert_eq!(listed.status, 200, "{}", listed.text());
    let body = listed.json();
    assert_eq!(json!([body["listed"], body["has_more"]]), json!([true, false]));
    let mut data = body["data"].clone();
    for one in data.as_array_mut().unwrap() {
        assert!(one.as_object_mut().unwrap().remove("id").unwrap().as_str().unwrap().starts_with("act_"));
    }
    assert_eq!(
        data,
        json!([
            { "kind": "domain", "label": null, "name": "a.example", "current": true,
              "first_seen_on": "2026-01-01", "last_seen_on": "2026-01-02" },
            { "kind": "device", "label": "Office", "name": "8f14…", "current": false,
              "first_seen_on": "2026-01-01", "last_seen_on": "2026-01-01" },
            { "kind": "device", "label": null, "name": "pc-17", "current": true,
              "first_seen_on": "2026-01-02", "last_seen_on": "2026-01-02" },
        ])
    );
    let unknown = own_list(&app, json!({ "key": key, "fingerprint": "8f14e45f" })).await.text().to_owned();
    assert!(!unknown.contains("8f14e45f") && !unknown.contains("pc-17"), "{unknown}");
    assert!(!unknown.contains("true,\"first_seen_on"), "no slot is the caller's: {unknown}");
    assert_eq!(app.get(&license.path).await.json()["devices_used"], 2, "a list takes no slot");
}

#[tokio::test]
async fn customer_list_is_refused_by_plan_and_status() {
    let app = TestApp::new().await;
    let (plain, suspended, revoked) =
        (app.issue("starter").await, app.issue("roaming").await, app.issue("roaming").await);
    app.post(&format!("{}/suspend", suspended.path)).await;
    app.delete(&revoked.path).await;
    for (license, error) in
        [(plain, "RELEASE_NOT_ALLOWED"), (suspended, "LICENSE_SUSPENDED"), (revoked, "LICENSE_REVOKED")]
    {
        let reply = own_list(&app, json!({ "key": license.key })).await;
        assert_eq!((reply.status, &reply.json()["listed"]), (200, &json!(false)));
        assert_eq!(reply.json()["error"], error);
    }
    let license = app.issue("roaming").await;
    app.post(&format!("{}/rotate-key", license.path)).await;
    let reply = own_list(&app, json!({ "key": license.key })).await;
    assert_eq!((reply.status, reply.text()), (404, r#"{"valid":false,"error":"LICENSE_NOT_FOUND"}"#));
}

async fn batch(app: &TestApp, key: Option<&str>, body: Value) -> Reply {
    let call = app.admin("POST", "/api/v1/licenses/batch").json(&body);
    let call = if let Some(key) = key { call.header("idempotency-key", key) } else { call };
    call.send(&app.router).await
}

#[tokio::test]
async fn batch_issues_licenses_with_their_events_and_audit() {
    let (app, _) = TestApp::with_access().await;
    let body = json!({
        "plan": "starter", "customer_email": EMAIL, "count": 3, "domains": ["a.com"], "metadata": { "lot": 7 },
    });
    let issued = batch(&app, None, body).await;
    assert_eq!(issued.status, 201, "{}", issued.text());
    let data = issued.json()["data"].as_array().unwrap().clone();
    let keys: BTreeSet<_> = data.iter().map(|license| license["key"].as_str().unwrap().to_owned()).collect();
    assert_eq!((data.len(), keys.len()), (3, 3));
    for license in &data {
        let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
        let mut stored = app.get(&path).await.json();
        stored.as_object_mut().unwrap().remove("as_of");
        assert_eq!(&stored, license);
        assert_eq!(json!([stored["domains"], stored["metadata"]]), json!([["a.com"], { "lot": 7 }]));
        assert_eq!(app.validate(json!({ "key": license["key"] })).await.json()["valid"], true);
    }
    let events = app.get("/api/v1/events?type=license.created").await.json();
    assert_eq!(events["data"].as_array().unwrap().len(), 3);
    let entries = app.get("/api/v1/audit?action=license.create").await.json();
    assert_eq!(entries["data"].as_array().unwrap().len(), 3);
    let all = json!({ "plan": "starter", "customer_email": EMAIL, "count": limits::BATCH_LICENSES });
    assert_eq!(batch(&app, None, all).await.json()["data"].as_array().unwrap().len(), 1_000);
}

#[tokio::test]
async fn repeated_batch_returns_its_licenses() {
    let app = TestApp::new().await;
    let body = |count: u32| json!({ "plan": "starter", "customer_email": EMAIL, "count": count });
    let first = batch(&app, Some("order-1"), body(40)).await;
    app.issue("starter").await;
    let again = batch(&app, Some("order-1"), body(40)).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(again.json()["data"], first.json()["data"]);
    for (key, count, status) in [("order-1", 41, 409), ("order-2", 40, 201)] {
        assert_eq!(batch(&app, Some(key), body(count)).await.status, status, "{key} {count}");
    }
    let one = json!({ "plan": "starter", "customer_email": EMAIL });
    let single = app.admin("POST", "/api/v1/licenses").json(&one).header("idempotency-key", "order-1");
    assert_eq!(single.send(&app.router).await.status, 201, "a key belongs to one path");
}

#[tokio::test]
async fn denied_batch_issues_nothing() {
    let app = TestApp::new().await;
    let body =
        json!({ "plan": "starter", "customer_email": EMAIL, "count": 2, "domains": ["a.com", "b.com"] });
    let denied = batch(&app, Some("order-1"), body).await;
    assert_eq!(denied.fault(), (409, "DOMAIN_LIMIT_REACHED".to_owned(), None));
    assert_eq!(app.get("/api/v1/licenses").await.json()["data"], json!([]));
}

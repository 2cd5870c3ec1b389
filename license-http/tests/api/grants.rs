//! Grants of features.

use chrono::TimeDelta;
use license_core::limits;
use serde_json::{Value, json};

use super::app::{EMAIL, Issued, TestApp};
use super::call::Reply;

async fn grant(app: &TestApp, license: &Issued, body: Value) -> Reply {
    app.admin("POST", &format!("{}/grants", license.path)).json(&body).send(&app.router).await
}

async fn features(app: &TestApp, license: &Issued) -> Value {
    app.validate(json!({ "key": license.key })).await.json()["license"]["features"].clone()
}

fn of(feature: &str, value: impl Into<Value>) -> Value {
    json!({ "feature": feature, "value": value.into(), "until": null, "source": null })
}

#[tokio::test]
async fn grant_is_shown_and_applies_until_its_end() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let until = "2026-01-01T00:00:01.000001Z";
    let addon = json!({ "feature": "api", "value": true, "until": until, "source": "sub_17" });
    let reply = grant(&app, &license, addon.clone()).await;
    assert_eq!((reply.status, reply.header("etag")), (200, Some("\"2\"")), "{}", reply.text());
    assert_eq!(reply.json()["grants"], json!([addon]));
    let reply = grant(&app, &license, json!({ "feature": "seats", "value": 25.0 })).await;
    assert_eq!(reply.json()["grants"], json!([addon, of("seats", json!(25))]));
    assert_eq!(features(&app, &license).await, json!({ "api": true, "seats": 25, "support": "community" }));
    app.advance(TimeDelta::seconds(1));
    assert_eq!(features(&app, &license).await["api"], true);
    app.advance(TimeDelta::microseconds(1));
    assert_eq!(features(&app, &license).await["api"], false, "the value of the plan");
    let asking = app.validate(json!({ "key": license.key, "features": ["seats", "api"] })).await.json();
    assert_eq!(asking["message"], "The license does not include api.");
    assert_eq!(app.get(&license.path).await.json()["grants"][0], addon, "an ended grant is listed");
    let reply = grant(&app, &license, json!({ "feature": "sso", "value": true })).await;
    assert_eq!(reply.json()["grants"], json!([of("seats", json!(25)), of("sso", json!(true))]));
}

#[tokio::test]
async fn grant_is_replaced_and_removed_by_feature_and_source() {
    let app = TestApp::new().await;
    let grants = json!([of("seats", json!(5)), { "feature": "seats", "value": 9, "source": "a b&c" }]);
    let spec = json!({ "plan": "starter", "customer_email": EMAIL, "grants": grants });
    let license = app.issue_with(spec).await;
    assert_eq!(features(&app, &license).await["seats"], 9, "the last one wins");
    grant(&app, &license, of("seats", json!(6))).await;
    assert_eq!(features(&app, &license).await["seats"], 6, "a replaced one is the last");
    let again = grant(&app, &license, of("seats", json!(6))).await;
    assert_eq!(again.json()["version"], 3, "the same grant again changes nothing");
    let remove = async |query: &str| app.delete(&format!("{}/grants?{query}", license.path)).await;
    let removed = remove("feature=seats&source=a%20b%26c").await;
    assert_eq!(removed.json()["grants"], json!([of("seats", json!(6))]));
    assert_eq!(remove("feature=seats").await.json()["grants"], json!([]));
    let gone = remove("feature=seats").await;
    assert_eq!(gone.fault(), (404, "GRANT_NOT_FOUND".to_owned(), None));
    let events = app.get(&format!("/api/v1/events?license={}&type=license.updated", license.id)).await.json();
    let events = events["data"].as_array().unwrap().clone();
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event["data"]["fields"] == json!(["grants"])), "{events:?}");
}

#[tokio::test]
async fn grants_are_audited_with_their_values() {
    let (app, _) = TestApp::with_access().await;
    let license = app.issue("starter").await;
    grant(&app, &license, of("seats", json!("gold"))).await;
    app.delete(&format!("{}/grants?feature=seats", license.path)).await;
    let entries = app.get(&format!("/api/v1/audit?license={}", license.id)).await.json();
    let found: Vec<_> = entries["data"].as_array().unwrap()[..2]
        .iter()
        .map(|entry| json!([entry["action"], entry["changes"]["grants"]]))
        .collect();
    let grants = json!([of("seats", json!("gold"))]);
    let expected = [
        json!(["license.remove_grant", { "before": grants, "after": [] }]),
        json!(["license.add_grant", { "before": [], "after": grants }]),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn number_of_grants_is_limited() {
    let app = TestApp::new().await;
    let grants: Vec<_> = (0..limits::GRANTS).map(|n| of(&format!("f{n}"), json!(n))).collect();
    let spec = json!({ "plan": "starter", "customer_email": EMAIL, "grants": grants });
    let license = app.issue_with(spec).await;
    let reply = grant(&app, &license, of("one more", json!(true))).await;
    assert_eq!(reply.fault(), (409, "GRANT_LIMIT_REACHED".to_owned(), None));
    let longest = json!("x".repeat(limits::FEATURE_TEXT_BYTES));
    assert_eq!(grant(&app, &license, of("f0", longest)).await.status, 200);
}

/// A repeated request with an idempotency key must name the same grants.
#[tokio::test]
async fn grants_are_part_of_an_idempotent_request() {
    let app = TestApp::new().await;
    let create = async |value: i64| {
        let grants = json!([of("seats", json!(value))]);
        let body = json!({ "plan": "starter", "customer_email": EMAIL, "grants": grants });
        let call = app.admin("POST", "/api/v1/licenses").header("idempotency-key", "order-1").json(&body);
        call.send(&app.router).await
    };
    let first = create(5).await;
    assert_eq!(first.status, 201, "{}", first.text());
    assert_eq!(create(5).await.json()["id"], first.json()["id"]);
    assert_eq!(create(6).await.fault().1, "IDEMPOTENCY_KEY_REUSED");
}

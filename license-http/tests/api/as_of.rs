use chrono::TimeDelta;
use serde_json::json;

use super::app::{EMAIL, NOW, TestApp, fault_store};
use super::call::{Call, Reply};
use license_store::faults::{Fault, Hold};

const PAST: &str = "2025-12-31T23:59:58.500Z";
const LONG_PAST: &str = "2025-12-31T23:59:50Z";
const FUTURE: &str = "2026-01-01T00:00:07Z";

/// Returns every call whose answer has counters.
async fn calls(app: &TestApp) -> Vec<Call> {
    let request = json!({ "plan": "professional", "customer_email": EMAIL, "domains": ["one.example"] });
    let path = app.issue_with(request.clone()).await.path;
    let activations = app.get(&format!("{path}/activations")).await.json();
    let activation = format!("{path}/activations/{}", activations["data"][0]["id"].as_str().unwrap());
    vec![
        app.admin("POST", "/api/v1/licenses").json(&request),
        app.admin("GET", "/api/v1/licenses"),
        app.admin("GET", "/api/v1/licenses?plan=starter"),
        app.admin("GET", &path),
        app.admin("PUT", &path).json(&json!({ "max_domains": 2 })),
        app.admin("POST", &format!("{path}/suspend")),
        app.admin("POST", &format!("{path}/reinstate")),
        app.admin("POST", &format!("{path}/renew")),
        app.admin("POST", &format!("{path}/rotate-key")),
        app.admin("GET", &format!("{path}/activations")),
        app.admin("GET", &format!("{path}/usage")),
        app.admin("GET", &format!("{path}/usage?interval=day&group_by=domain")),
        app.admin("GET", "/api/v1/usage"),
        app.admin("PATCH", &activation).json(&json!({ "label": "Blog" })),
        app.admin("POST", &format!("{path}/grants")).json(&json!({ "feature": "a", "value": 1 })),
        app.admin("DELETE", &format!("{path}/grants?feature=a")),
        app.admin("DELETE", &activation),
        app.admin("DELETE", &path),
    ]
}

fn assert_ends_with_as_of(target: &str, reply: &Reply, as_of: &str) {
    assert!(reply.status == 200 || reply.status == 201, "{target}: {}", reply.text());
    assert!(reply.text().ends_with(&format!(r#","as_of":"{as_of}"}}"#)), "{target}: {}", reply.text());
    assert_eq!(reply.text().matches(r#""as_of""#).count(), 1, "{target}: {}", reply.text());
}

#[tokio::test]
async fn complete_counters_are_as_of_the_call() {
    let app = TestApp::over(fault_store()).await;
    for call in calls(&app).await {
        assert_ends_with_as_of(&call.target, &call.send(&app.router).await, NOW);
    }
}

#[tokio::test]
async fn lagging_counters_are_as_of_the_past() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    let calls = calls(&app).await;
    store.set_as_of(&[Some(PAST.parse().unwrap())]);
    for call in calls {
        let expected = if call.target.contains("plan=starter") { NOW } else { PAST };
        assert_ends_with_as_of(&call.target, &call.send(&app.router).await, expected);
    }
}

#[tokio::test]
async fn list_is_as_of_its_earliest_item() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    let domains = ["one.example", "two.example", "three.example"];
    let request = json!({ "plan": "professional", "customer_email": EMAIL, "domains": domains });
    let activations = format!("{}/activations", app.issue_with(request).await.path);
    app.issue("starter").await;
    app.issue("starter").await;
    for (items, expected) in [
        ([None, Some(PAST), Some(LONG_PAST)], LONG_PAST),
        ([Some(LONG_PAST), None, Some(PAST)], LONG_PAST),
        ([Some(PAST), Some(PAST), None], PAST),
        ([None, Some(FUTURE), Some(FUTURE)], NOW),
        ([Some(FUTURE), Some(FUTURE), Some(FUTURE)], FUTURE),
        ([None, None, None], NOW),
    ] {
        store.set_as_of(&items.map(|as_of| as_of.map(|as_of| as_of.parse().unwrap())));
        for target in ["/api/v1/licenses", &activations] {
            let reply = app.get(target).await;
            assert_eq!(reply.json()["data"].as_array().unwrap().len(), 3);
            assert_ends_with_as_of(target, &reply, expected);
        }
    }
}

/// A validation answered during the read may be missing from the counters.
#[tokio::test]
async fn clock_is_read_before_the_store() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    for (second, call) in calls(&app).await.into_iter().enumerate() {
        let hold = Hold::default();
        store.set(Fault::Hold(hold.clone()));
        let (router, request) = (app.router.clone(), call.request());
        let reply = tokio::spawn(async move { Reply::of(&router, request).await });
        hold.reached().await;
        app.advance(TimeDelta::seconds(1));
        store.set(None);
        hold.release();
        let began = format!("2026-01-01T00:00:{second:02}Z");
        assert_ends_with_as_of(&call.target, &reply.await.unwrap(), &began);
    }
}

#[tokio::test]
async fn answers_without_counters_have_no_as_of() {
    let app = TestApp::new().await;
    let license = app.issue("roaming").await;
    let claim = json!({ "key": license.key, "fingerprint": "machine-1" });
    let usage = format!("{}/usage", license.path);
    for reply in [
        app.validate(claim.clone()).await,
        Call::new("POST", "/api/v1/deactivate").json(&claim).send(&app.router).await,
        app.get("/api/v1/events").await,
        app.get(&format!("/api/v1/customers/{EMAIL}/export")).await,
        app.admin("GET", &usage).header("accept", "text/csv").send(&app.router).await,
        app.admin("GET", "/api/v1/usage").header("accept", "text/csv").send(&app.router).await,
        app.admin("GET", &usage).header("accept", "image/svg+xml").send(&app.router).await,
    ] {
        assert_eq!((reply.status, reply.text().contains("as_of")), (200, false), "{}", reply.text());
    }
}

use serde_json::json;

use super::app::{EMAIL, TestApp};
use super::call::{Call, Reply};
use super::faulty_store::{Fault, FaultyStore};

/// Every kind of call once, for one license.
fn calls(app: &TestApp, id: &str) -> Vec<Call> {
    let path = |rest: &str| format!("/api/v1/licenses/{id}{rest}");
    let mut calls = vec![
        app.admin("POST", "/api/v1/licenses").json(&json!({ "plan": "starter", "customer_email": EMAIL })),
        app.admin("GET", "/api/v1/licenses"),
        app.admin("PUT", &path("")).json(&json!({})),
    ];
    calls.extend(
        [
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/suspend"),
            ("POST", "/reinstate"),
            ("POST", "/renew"),
            ("POST", "/rotate-key"),
            ("GET", "/activations"),
            ("DELETE", "/activations/act_1"),
            ("GET", "/usage"),
        ]
        .map(|(method, rest)| app.admin(method, &path(rest))),
    );
    calls
}

async fn each(fault: Fault, check: impl Fn(&str, &Reply)) {
    let store = FaultyStore::default();
    let app = TestApp::over(store.clone()).await;
    let license = app.issue("starter").await;
    store.set(fault);
    for call in calls(&app, &license.id) {
        check(&call.target, &call.send(&app.router).await);
    }
    let reply = app.validate(json!({ "key": license.key })).await;
    assert_eq!(reply.json()["valid"], false);
    check("/api/v1/validate", &reply);
}

#[tokio::test]
async fn a_store_that_may_be_asked_again_is_503() {
    for fault in [Fault::Unavailable, Fault::Contended] {
        each(fault, |target, reply| {
            assert_eq!(reply.fault(), (503, "STORE_UNAVAILABLE".to_owned(), None), "{target}");
            assert_eq!(reply.header("retry-after"), Some("1"), "{target}");
            assert!(!reply.text().contains("db.internal"), "{target}: the cause is for the log");
        })
        .await;
    }
}

#[tokio::test]
async fn a_fault_of_ours_is_500_and_says_no_more() {
    for fault in [Fault::Corrupt, Fault::AlreadyExists, Fault::Panic] {
        each(fault, |target, reply| {
            assert_eq!(reply.fault(), (500, "INTERNAL".to_owned(), None), "{target}");
            assert_eq!(reply.header("retry-after"), None);
            for word in ["lic_broken", "plan", "UTF-8", "panics"] {
                assert!(!reply.text().contains(word), "{target}: {}", reply.text());
            }
        })
        .await;
    }
}

#[tokio::test]
async fn the_forms_of_an_error() {
    let store = FaultyStore::default();
    let app = TestApp::over(store.clone()).await;
    let license = app.issue("starter").await;
    store.set(Fault::Panic);
    let reply = app.get(&license.path).await;
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let expected = r#"{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"Something went wrong here. It is in the server's log.","code":"INTERNAL","error":"INTERNAL"}"#;
    assert_eq!(reply.text(), expected);
    let reply = app.validate(json!({ "key": license.key })).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let expected = r#"{"valid":false,"error":"INTERNAL","message":"Something went wrong here. It is in the server's log."}"#;
    assert_eq!(reply.text(), expected);
}

#[tokio::test]
async fn the_app_goes_on_after_a_panic() {
    let store = FaultyStore::default();
    let app = TestApp::over(store.clone()).await;
    let license = app.issue("starter").await;
    store.set(Fault::Panic);
    assert_eq!(app.get(&license.path).await.status, 500);
    store.set(Fault::None);
    assert_eq!(app.get(&license.path).await.status, 200);
}

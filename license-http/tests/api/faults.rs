use serde_json::json;

use super::app::{EMAIL, TestApp, fault_store};
use super::call::{Call, Reply};
use license_store::faults::Fault;

/// Returns every kind of call for one license.
fn calls(app: &TestApp, id: &str) -> Vec<Call> {
    let path = |rest: &str| format!("/api/v1/licenses/{id}{rest}");
    let mut calls = vec![
        app.admin("POST", "/api/v1/licenses").json(&json!({ "plan": "starter", "customer_email": EMAIL })),
        app.admin("GET", "/api/v1/licenses"),
        app.admin("PUT", &path("")).json(&json!({})),
        app.admin("POST", &path("/grants")).json(&json!({ "feature": "a", "value": 1 })),
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
            ("POST", "/activations/act_1/block"),
            ("DELETE", "/blocked/blk_1"),
            ("GET", "/usage"),
            ("DELETE", "/grants?feature=a"),
        ]
        .map(|(method, rest)| app.admin(method, &path(rest))),
    );
    calls
}

async fn check_all(fault: Fault, check: impl Fn(&str, &Reply)) {
    let store = fault_store();
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
async fn retryable_store_error_is_503() {
    for fault in [Fault::Unavailable, Fault::Contended] {
        check_all(fault, |target, reply| {
            assert_eq!(reply.fault(), (503, "STORE_UNAVAILABLE".to_owned(), None), "{target}");
            assert_eq!(reply.header("retry-after"), Some("1"), "{target}");
            assert!(!reply.text().contains("db.internal"), "{target}: the cause is logged only");
        })
        .await;
    }
}

#[tokio::test]
async fn list_that_takes_too_long_is_422() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    let license = app.issue("starter").await;
    store.set(Fault::QueryTooBroad);
    for path in
        ["/api/v1/licenses?plan=starter&status=active".to_owned(), format!("{}/activations", license.path)]
    {
        let reply = app.get(&path).await;
        assert_eq!(reply.fault(), (422, "QUERY_TOO_BROAD".to_owned(), None), "{path}");
        assert!(reply.text().contains("narrow its filter or its time range"), "{}", reply.text());
        assert_eq!(reply.header("retry-after"), None, "a repeated call takes as long");
    }
}

#[tokio::test]
async fn server_error_is_500_without_details() {
    for fault in [Fault::Corrupt, Fault::AlreadyExists, Fault::Panic] {
        check_all(fault, |target, reply| {
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
async fn error_is_problem_details_or_a_refusal() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    let license = app.issue("starter").await;
    store.set(Fault::Panic);
    let reply = app.get(&license.path).await;
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let expected = r#"{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"Internal error. The server's log has the details.","code":"INTERNAL","error":"INTERNAL"}"#;
    assert_eq!(reply.text(), expected);
    let reply = app.validate(json!({ "key": license.key })).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let expected =
        r#"{"valid":false,"error":"INTERNAL","message":"Internal error. The server's log has the details."}"#;
    assert_eq!(reply.text(), expected);
}

#[tokio::test]
async fn app_survives_a_panic() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    let license = app.issue("starter").await;
    store.set(Fault::Panic);
    assert_eq!(app.get(&license.path).await.status, 500);
    store.set(None);
    assert_eq!(app.get(&license.path).await.status, 200);
}

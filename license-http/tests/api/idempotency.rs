use std::sync::Arc;

use license_core::limits;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::app::{EMAIL, TestApp};
use super::call::Call;

fn create(app: &TestApp, key: &str, body: &Value) -> Call {
    app.admin("POST", "/api/v1/licenses").header("idempotency-key", key).json(body)
}

fn body() -> Value {
    json!({ "plan": "starter", "customer_email": EMAIL, "max_domains": 2, "metadata": {"a": 1, "b": 2} })
}

async fn count(app: &TestApp) -> usize {
    app.get("/api/v1/licenses?limit=100").await.json()["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn repeated_request_returns_the_first_license() {
    let app = TestApp::new().await;
    let first = create(&app, "order-17", &body()).send(&app.router).await;
    // An equivalent body is the same request.
    let same =
        r#"{"metadata":{"b":2,"a":1},"max_domains":2,"customer_email":"DEV@example.com","plan":"starter"}"#;
    let call = app.admin("POST", "/api/v1/licenses").header("idempotency-key", "order-17").json_text(same);
    for call in [create(&app, "order-17", &body()), call] {
        let again = call.send(&app.router).await;
        assert_eq!((again.status, again.text()), (201, first.text()));
        assert_eq!(again.header("location"), first.header("location"));
    }
    assert_eq!(count(&app).await, 1);
}

#[tokio::test]
async fn different_request_with_the_same_key_is_refused() {
    let app = TestApp::new().await;
    create(&app, "order-17", &body()).send(&app.router).await;
    for (field, value) in [
        ("plan", json!("professional")),
        ("max_domains", json!(3)),
        ("max_domains", Value::Null),
        ("max_devices", Value::Null),
        ("domains", json!(["one.example"])),
        ("expires_at", Value::Null),
        ("metadata", json!({"a": 1})),
    ] {
        let mut other = body();
        other[field] = value;
        let reply = create(&app, "order-17", &other).send(&app.router).await;
        let expected = (409, "IDEMPOTENCY_KEY_REUSED".to_owned(), Some("Idempotency-Key".to_owned()));
        assert_eq!(reply.fault(), expected, "{field}");
    }
    assert_eq!(count(&app).await, 1);
}

#[tokio::test]
async fn different_key_or_none_issues_another_license() {
    let app = TestApp::new().await;
    let longest = "k".repeat(limits::IDEMPOTENCY_KEY_BYTES);
    for key in ["order-17", "order-18", "ORDER-17", longest.as_str()] {
        assert_eq!(create(&app, key, &body()).send(&app.router).await.status, 201, "{key}");
    }
    assert_eq!(app.create(body()).await.status, 201);
    assert_eq!(count(&app).await, 5);
}

#[tokio::test]
async fn refused_request_does_not_use_up_the_key() {
    let app = TestApp::new().await;
    let mut refused = body();
    refused["plan"] = "nothing".into();
    assert_eq!(create(&app, "order-17", &refused).send(&app.router).await.status, 422);
    assert_eq!(create(&app, "order-17", &body()).send(&app.router).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_racing_requests_issue_one_license() {
    let app = Arc::new(TestApp::new().await);
    for round in 0..4 {
        let barrier = Arc::new(Barrier::new(16));
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (app, barrier) = (Arc::clone(&app), Arc::clone(&barrier));
                tokio::spawn(async move {
                    let call = create(&app, &format!("round-{round}"), &body());
                    barrier.wait().await;
                    call.send(&app.router).await
                })
            })
            .collect();
        let mut replies = Vec::new();
        for task in tasks {
            replies.push(task.await.unwrap());
        }
        for reply in &replies {
            assert_eq!((reply.status, reply.text()), (201, replies[0].text()));
        }
        assert_eq!(count(&app).await, round + 1);
    }
}

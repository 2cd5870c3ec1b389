use std::sync::Arc;

use chrono::TimeDelta;
use license_core::limits;
use license_store::faults::Fault;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::app::{EMAIL, Issued, TestApp, fault_store, token};
use super::call::{Call, Reply};

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
    assert_eq!(first.header("idempotent-replayed"), None);
    let other_type = app.admin("POST", "/api/v1/licenses").header("idempotency-key", "order-17");
    let other_type = other_type.header("content-type", "application/vnd.a+json; charset=utf-8");
    for call in [create(&app, "order-17", &body()), call, other_type.body(format!(" {} \n", body()))] {
        let again = call.send(&app.router).await;
        assert_eq!((again.status, again.text()), (201, first.text()));
        assert_eq!(again.header("location"), first.header("location"));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
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

/// Sends a command on a license with a key.
async fn command(app: &TestApp, license: &Issued, rest: &str, key: &str) -> Reply {
    app.admin("POST", &format!("{}{rest}", license.path))
        .header("idempotency-key", key)
        .send(&app.router)
        .await
}

fn replayed(reply: &Reply) -> bool {
    reply.header("idempotent-replayed") == Some("true")
}

#[tokio::test]
async fn repeated_renewal_adds_one_term() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let first = command(&app, &license, "/renew", "payment-1").await;
    assert_eq!((first.status, replayed(&first)), (200, false));
    let again = command(&app, &license, "/renew", "payment-1").await;
    assert_eq!((again.status, replayed(&again), again.text()), (200, true, first.text()));
    assert_eq!(again.header("etag"), first.header("etag"));
    // The version that the first request expected is gone, but the request is the same.
    let call = app.admin("POST", &format!("{}/renew", license.path)).header("idempotency-key", "payment-1");
    let stale = call.header("if-match", "\"1\"").header("content-type", "application/json").body("{}");
    let stale = stale.send(&app.router).await;
    assert_eq!((stale.status, replayed(&stale), stale.text()), (200, true, first.text()));
    let other = command(&app, &license, "/renew", "payment-2").await;
    assert_eq!((other.status, replayed(&other)), (200, false));
    assert_ne!(other.json()["expires_at"], first.json()["expires_at"]);
    // The answer is the license as it is now.
    let again = command(&app, &license, "/renew", "payment-1").await;
    assert_eq!((replayed(&again), again.text()), (true, other.text()));
}

#[tokio::test]
async fn repeated_rotation_keeps_the_first_key() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let first = command(&app, &license, "/rotate-key", "rotation").await;
    let again = command(&app, &license, "/rotate-key", "rotation").await;
    assert_eq!((again.status, replayed(&again), again.text()), (200, true, first.text()));
    let key = first.json()["key"].clone();
    assert_ne!(key, license.key);
    assert_eq!(app.validate(json!({ "key": key })).await.json()["valid"], true);
}

/// One payment event can use the same key for several requests.
#[tokio::test]
async fn keys_are_scoped_to_path_and_token() {
    let (app, access) = TestApp::with_access().await;
    let tokens = [token(&access, "admin", None).await.1, token(&access, "admin", None).await.1];
    let send = async |token: &str, target: &str, body: Option<Value>| {
        let call = Call::new("POST", target).header("authorization", format!("Bearer {token}"));
        let call = call.header("idempotency-key", "event-1");
        let call = if let Some(body) = body { call.json(&body) } else { call };
        let reply = call.send(&app.router).await;
        assert!(reply.status < 300, "{target}: {}", reply.text());
        reply
    };
    let mut licenses = Vec::new();
    for (token, other_body) in
        tokens.iter().zip([body(), json!({ "plan": "professional", "customer_email": EMAIL })])
    {
        let created = send(token, "/api/v1/licenses", Some(other_body)).await;
        assert!(!replayed(&created), "the key of another token");
        licenses.push(format!("/api/v1/licenses/{}", created.json()["id"].as_str().unwrap()));
    }
    for token in &tokens {
        for license in &licenses {
            for rest in ["/renew", "/rotate-key"] {
                let reply = send(token, &format!("{license}{rest}"), None).await;
                assert!(!replayed(&reply), "{license}{rest}");
            }
        }
    }
    assert!(replayed(&send(&tokens[0], &format!("{}/renew", licenses[0]), None).await));
}

#[tokio::test]
async fn repeated_renewal_of_revoked_license_is_answered() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    command(&app, &license, "/renew", "payment-1").await;
    app.delete(&license.path).await;
    let again = command(&app, &license, "/renew", "payment-1").await;
    assert_eq!((again.status, replayed(&again)), (200, true));
    assert_eq!(again.json()["status"], "revoked");
    let other = command(&app, &license, "/renew", "payment-2").await;
    assert_eq!(other.fault(), (409, "LICENSE_REVOKED".to_owned(), None));
}

#[tokio::test(start_paused = true)]
async fn repeated_test_sends_one_event() {
    let app = TestApp::new().await;
    let create = app.admin("POST", "/api/v1/webhook-endpoints");
    let settings = json!({ "url": "https://example.com/hook", "events": ["*"] });
    let endpoint = create.json(&settings).send(&app.router).await.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/webhook-endpoints/{endpoint}");
    let test = async |key: &str| {
        let call = app.admin("POST", &format!("{path}/test")).header("idempotency-key", key);
        call.send(&app.router).await
    };
    let (first, again, other) = (test("a").await, test("a").await, test("b").await);
    assert_eq!(
        [&first, &again, &other].map(|reply| (reply.status, replayed(reply))),
        [(202, false), (202, true), (202, false)]
    );
    assert_eq!(again.text(), first.text());
    assert_ne!(other.json()["id"], first.json()["id"]);
    let deliveries = app.get(&format!("{path}/deliveries")).await.json();
    assert_eq!(deliveries["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn calls_that_show_a_secret_refuse_keys() {
    let (app, _) = TestApp::with_access().await;
    let settings = json!({ "url": "https://example.com/hook", "events": ["*"] });
    let endpoint = app.admin("POST", "/api/v1/webhook-endpoints").json(&settings).send(&app.router).await;
    let id = endpoint.json()["id"].as_str().unwrap().to_owned();
    let rotate = format!("/api/v1/webhook-endpoints/{id}/rotate-secret");
    for call in [
        app.admin("POST", "/api/v1/tokens").json(&json!({ "name": "a", "scopes": ["licenses:read"] })),
        app.admin("POST", "/api/v1/webhook-endpoints").json(&settings),
        app.admin("POST", &rotate),
    ] {
        let call = call.header("idempotency-key", "a");
        let reply = call.send(&app.router).await;
        let code = "IDEMPOTENCY_KEY_UNSUPPORTED".to_owned();
        assert_eq!(reply.fault(), (400, code, Some("Idempotency-Key".to_owned())), "{}", call.target);
    }
    assert_eq!(app.get("/api/v1/tokens").await.json()["data"], json!([]), "nothing was created");
    let endpoints = app.get("/api/v1/webhook-endpoints").await.json();
    assert_eq!(endpoints["data"].as_array().unwrap().len(), 1);
    assert_eq!(endpoints["data"][0]["previous_secret_until"], Value::Null);
}

/// Calls that are idempotent by themselves, and the public ones, ignore the header, whatever its value is.
#[tokio::test]
async fn idempotent_calls_ignore_the_key() {
    let app = TestApp::new().await;
    let (license, other) = (app.issue("starter").await, app.issue("starter").await);
    app.validate(json!({ "key": license.key, "fingerprint": "a" })).await;
    let activations = app.get(&format!("{}/activations", license.path)).await.json();
    let activation =
        format!("{}/activations/{}", license.path, activations["data"][0]["id"].as_str().unwrap());
    let settings = json!({ "url": "https://example.com/hook", "events": ["*"] });
    let endpoint = app.admin("POST", "/api/v1/webhook-endpoints").json(&settings).send(&app.router).await;
    let endpoint = format!("/api/v1/webhook-endpoints/{}", endpoint.json()["id"].as_str().unwrap());
    let on = |rest: &str| format!("{}{rest}", license.path);
    for (method, target, body) in [
        ("POST", on("/suspend"), None),
        ("POST", on("/reinstate"), None),
        ("PUT", on(""), Some(json!({ "max_devices": 7 }))),
        ("PATCH", activation.clone(), Some(json!({ "label": "a" }))),
        ("DELETE", activation, None),
        ("DELETE", other.path.clone(), None),
        ("POST", format!("{endpoint}/disable"), None),
        ("POST", format!("{endpoint}/enable"), None),
        ("PUT", endpoint.clone(), Some(settings)),
        ("POST", format!("{endpoint}/replay"), Some(json!({ "since": "2026-01-01T00:00:00Z" }))),
        ("DELETE", endpoint, None),
        ("DELETE", format!("/api/v1/customers/{EMAIL}"), None),
        ("POST", "/api/v1/validate".to_owned(), Some(json!({ "key": license.key }))),
        ("POST", "/api/v1/deactivate".to_owned(), Some(json!({ "key": license.key, "fingerprint": "a" }))),
    ] {
        for key in ["a", ""] {
            let call = app.admin(method, &target).header("idempotency-key", key);
            let call = if let Some(body) = &body { call.json(body) } else { call };
            let reply = call.send(&app.router).await;
            let gone = method == "DELETE" && key.is_empty() && reply.status == 404;
            assert!(reply.status == 200 || gone, "{method} {target} {key:?}: {}", reply.text());
            assert!(!replayed(&reply), "{method} {target}");
        }
    }
}

#[tokio::test]
async fn key_is_free_after_thirty_days() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let renewed = command(&app, &license, "/renew", "payment-1").await;
    let created = create(&app, "order-17", &body()).send(&app.router).await;
    app.advance(TimeDelta::days(30));
    assert_eq!(app.services.licenses.prune_idempotency_keys(app.services.now()).await.unwrap(), 0);
    assert!(replayed(&command(&app, &license, "/renew", "payment-1").await));
    app.advance(TimeDelta::microseconds(1));
    assert_eq!(app.services.licenses.prune_idempotency_keys(app.services.now()).await.unwrap(), 2);
    let again = command(&app, &license, "/renew", "payment-1").await;
    assert!(!replayed(&again) && again.json()["expires_at"] != renewed.json()["expires_at"]);
    let again = create(&app, "order-17", &body()).send(&app.router).await;
    assert_eq!(again.status, 201);
    assert_ne!(again.json()["id"], created.json()["id"]);
}

/// A crash between the commit and the answer: the caller repeats the request.
#[tokio::test]
async fn renewal_whose_answer_was_lost_is_not_repeated() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    let license = app.issue("starter").await;
    let before = app.get(&license.path).await.json();
    store.set(Fault::Unavailable.after());
    assert_eq!(command(&app, &license, "/renew", "payment-1").await.status, 503);
    store.set(None);
    let renewed = app.get(&license.path).await;
    assert_ne!(renewed.json()["expires_at"], before["expires_at"]);
    let again = command(&app, &license, "/renew", "payment-1").await;
    assert_eq!((again.status, replayed(&again), again.text()), (200, true, renewed.text()));
}

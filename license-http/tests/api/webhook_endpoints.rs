use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use chrono::TimeDelta;
use license_core::job::{BackgroundJob, JobReport};
use license_core::limits;
use license_http::router_with_webhooks;
use license_http::webhooks::{Destinations, Dispatcher};
use serde_json::{Value, json};

use super::app::TestApp;
use super::call::{Call, Reply};
use super::socket::serve;

const PATH: &str = "/api/v1/webhook-endpoints";

async fn create(app: &TestApp, body: Value) -> Reply {
    app.admin("POST", PATH).json(&body).send(&app.router).await
}

fn request() -> Value {
    json!({ "url": "https://example.com/hook", "events": ["*"] })
}

/// Creates an endpoint. Returns its path and its JSON.
async fn created(app: &TestApp, body: Value) -> (String, Value) {
    let reply = create(app, body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let endpoint = reply.json();
    (format!("{PATH}/{}", endpoint["id"].as_str().unwrap()), endpoint)
}

#[tokio::test]
async fn endpoint_is_created_replaced_rotated_and_deleted() {
    let app = TestApp::new().await;
    let body = json!({
        "url": "https://example.com/hook", "events": ["license.revoked", "license.created"], "description": "Shop", "skip_job_events": true,
    });
    let reply = create(&app, body).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let mut endpoint = reply.json();
    let id = endpoint["id"].as_str().unwrap().to_owned();
    assert_eq!(reply.header("location"), Some(&*format!("webhook-endpoints/{id}")));
    assert!(endpoint["secret"].as_str().unwrap().starts_with("whsec_"));
    let path = format!("{PATH}/{id}");

    // The secret is shown once.
    endpoint.as_object_mut().unwrap().remove("secret");
    let expected = json!({
        "id": id, "url": "https://example.com/hook", "events": ["license.created", "license.revoked"],
        "description": "Shop", "enabled": true, "disabled_reason": null, "disabled_at": null,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "last_success_at": null,
        "failing_since": null, "previous_secret_until": null, "skip_job_events": true,
    });
    assert_eq!(endpoint, expected);
    assert_eq!(app.get(&path).await.json(), expected);
    assert_eq!(app.get(PATH).await.json(), json!({ "data": [expected], "next_cursor": null }));

    // PUT replaces all settings.
    app.advance(TimeDelta::hours(1));
    let set = app.put(&path, json!({"url": "https://example.org/", "events": ["*"], "enabled": false})).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let set = set.json();
    assert_eq!((&set["url"], &set["events"]), (&json!("https://example.org/"), &json!(["*"])));
    assert_eq!((&set["description"], &set["enabled"]), (&Value::Null, &json!(false)));
    assert_eq!(set["skip_job_events"], false);
    assert_eq!(
        (&set["disabled_reason"], &set["disabled_at"]),
        (&json!("admin"), &json!("2026-01-01T01:00:00Z"))
    );
    assert_eq!(set["updated_at"], "2026-01-01T01:00:00Z");

    // A test needs an enabled endpoint.
    let test = app.post(&format!("{path}/test")).await;
    assert_eq!(test.fault(), (409, "ENDPOINT_DISABLED".to_owned(), None));
    assert_eq!(app.post(&format!("{path}/enable")).await.json()["enabled"], true);
    assert_eq!(app.post(&format!("{path}/disable")).await.json()["enabled"], false);

    let rotated = app.post(&format!("{path}/rotate-secret")).await.json();
    assert!(rotated["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(rotated["previous_secret_until"], "2026-01-02T01:00:00Z");
    assert!(!app.get(&path).await.text().contains("whsec_"));

    assert_eq!(app.delete(&path).await.json(), json!({ "id": id, "deleted": true }));
    assert_eq!(app.delete(&path).await.fault(), (404, "ENDPOINT_NOT_FOUND".to_owned(), None));
    assert_eq!(app.get(&path).await.fault(), (404, "ENDPOINT_NOT_FOUND".to_owned(), None));
}

#[tokio::test]
async fn largest_endpoint_and_maximum_count_are_accepted() {
    let app = TestApp::new().await;
    let url = format!("https://example.com/{}", "x".repeat(limits::ENDPOINT_URL_BYTES - 20));
    let events = vec!["license.created"; limits::EVENTS_PER_ENDPOINT];
    let description = "x".repeat(limits::ENDPOINT_DESCRIPTION_BYTES);
    created(&app, json!({ "url": url, "events": events, "description": description })).await;
    for _ in 1..limits::ENDPOINTS {
        created(&app, request()).await;
    }
    assert_eq!(create(&app, request()).await.fault(), (409, "ENDPOINT_LIMIT_REACHED".to_owned(), None));
    assert_eq!(app.get(PATH).await.json()["data"].as_array().unwrap().len(), limits::ENDPOINTS);
}

#[tokio::test]
async fn endpoint_routes_need_a_token() {
    let app = TestApp::new().await;
    for (method, rest) in [
        ("GET", ""),
        ("POST", ""),
        ("GET", "/whe_1"),
        ("PUT", "/whe_1"),
        ("DELETE", "/whe_1"),
        ("POST", "/whe_1/enable"),
        ("POST", "/whe_1/disable"),
        ("POST", "/whe_1/rotate-secret"),
        ("POST", "/whe_1/test"),
        ("POST", "/whe_1/replay"),
        ("GET", "/whe_1/deliveries"),
        ("POST", "/whe_1/deliveries/evt_1_0000000001/replay"),
    ] {
        let target = format!("{PATH}{rest}");
        let reply = Call::new(method, &target).send(&app.router).await;
        assert_eq!(reply.fault(), (401, "UNAUTHORIZED".to_owned(), None), "{method} {target}");
    }
}

/// Returns an app with a dispatcher, and the URL of a receiver that answers by path.
async fn with_dispatcher() -> (TestApp, String) {
    let mut app = TestApp::new().await;
    let here = Destinations::public().allow("127.0.0.0/8".parse().unwrap()).allow_http();
    let dispatcher = Dispatcher::new(app.services.webhooks.clone(), here).unwrap();
    app.router = router_with_webhooks(app.services.clone(), app.auth.clone(), dispatcher.webhooks());
    tokio::spawn(Box::new(dispatcher).run(Box::pin(std::future::pending()), JobReport::default()));
    let receiver = Router::new()
        .route("/good", post(async || "thank you"))
        .route("/bad", post(async || (StatusCode::BAD_GATEWAY, "not now")));
    let url = format!("http://{}", serve(receiver).await);
    (app, url)
}

#[tokio::test]
async fn test_event_reports_the_first_attempt() {
    let (app, url) = with_dispatcher().await;
    let (good, _) =
        created(&app, json!({ "url": format!("{url}/good"), "events": ["license.revoked"] })).await;
    let (bad, _) = created(&app, json!({ "url": format!("{url}/bad"), "events": ["license.revoked"] })).await;
    for (path, status, code, answer) in
        [(&good, "succeeded", 200, "thank you"), (&bad, "pending", 502, "not now")]
    {
        let reply = app.post(&format!("{path}/test")).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let delivery = reply.json();
        assert_eq!(
            (&delivery["type"], &delivery["status"]),
            (&json!("webhook_endpoint.test"), &json!(status))
        );
        let attempt = &delivery["attempts"][0];
        assert_eq!((&attempt["status_code"], &attempt["answer"]), (&json!(code), &json!(answer)));
        assert_eq!(attempt["error"], Value::Null);
        assert!(attempt["duration_ms"].is_u64());
        let listed = app.get(&format!("{path}/deliveries")).await.json();
        assert_eq!(listed["data"], json!([delivery]), "it is listed for this endpoint only");
    }
    let metrics = Call::new("GET", "/metrics").send(&app.router).await;
    for line in [
        "license_webhook_attempts_total{outcome=\"succeeded\"} 1\n",
        "license_webhook_attempts_total{outcome=\"to_retry\"} 1\n",
        "license_webhook_attempt_seconds_count 2\n",
        "license_webhook_under_way ",
    ] {
        assert!(metrics.text().contains(line), "{line}: {}", metrics.text());
    }
}

#[tokio::test(start_paused = true)]
async fn test_event_without_a_dispatcher_is_202() {
    let app = TestApp::new().await;
    let (path, _) = created(&app, request()).await;
    let reply = app.post(&format!("{path}/test")).await;
    assert_eq!(reply.status, 202);
    assert_eq!(reply.json()["status"], "pending");
    assert_eq!(reply.json()["attempts"], json!([]));
}

#[tokio::test]
async fn deliveries_are_listed_and_replayed() {
    let (app, url) = with_dispatcher().await;
    let (path, _) = created(&app, json!({ "url": format!("{url}/good"), "events": ["*"] })).await;
    for _ in 0..3 {
        app.issue("starter").await;
    }
    let list = async |query: &str| {
        let page = app.get(&format!("{path}/deliveries?{query}")).await.json();
        // The memory store never yields, so the dispatcher would not run.
        tokio::task::yield_now().await;
        page["data"].as_array().unwrap().clone()
    };
    while list("status=succeeded").await.len() < 3 {}
    assert_eq!(list("status=pending").await.len(), 0);
    let page = app.get(&format!("{path}/deliveries?limit=2")).await.json();
    let rest = list(&format!("limit=2&cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!((page["data"].as_array().unwrap().len(), rest.len()), (2, 1));

    let delivery = &rest[0];
    assert_eq!((&delivery["type"], &delivery["next_attempt_at"]), (&json!("license.created"), &Value::Null));
    let again = format!("{path}/deliveries/{}/replay", delivery["id"].as_str().unwrap());
    let replayed = app.post(&again).await;
    assert_eq!(replayed.status, 200, "{}", replayed.text());
    assert_eq!(replayed.json()["id"], delivery["id"]);
    while list("").await[2]["attempts"].as_array().unwrap().len() < 2 {}

    let target = format!("{path}/replay");
    for (since, count) in [("2026-01-01T00:00:00Z", 3), ("2026-01-01T00:00:01Z", 0)] {
        let answer = app.admin("POST", &target).json(&json!({ "since": since })).send(&app.router).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "replayed": count })));
    }
}

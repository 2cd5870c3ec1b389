use axum::http::HeaderValue;
use license_http::LimitOptions;
use serde_json::json;

use super::app::TestApp;
use super::call::{Call, Reply};

async fn app(origins: &'static [&'static str]) -> TestApp {
    let mut options = LimitOptions::default();
    options.cors_origins = origins.iter().map(|origin| HeaderValue::from_static(origin)).collect();
    TestApp::new().await.within(&options)
}

async fn preflight(app: &TestApp, target: &str, origin: &str) -> Reply {
    let call = Call::new("OPTIONS", target)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    call.send(&app.router).await
}

#[tokio::test]
async fn allowed_origins_may_validate() {
    let app = app(&["https://example.com", "http://localhost:3000"]).await;
    let license = app.issue("starter").await;
    for (origin, allowed) in [
        ("https://example.com", Some("https://example.com")),
        ("http://localhost:3000", Some("http://localhost:3000")),
        ("https://example.com.evil.example", None),
        ("http://example.com", None),
        ("null", None),
    ] {
        let reply = preflight(&app, "/api/v1/validate", origin).await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, allowed));
        assert_eq!(reply.header("access-control-allow-methods"), Some("POST"));
        assert_eq!(reply.header("access-control-allow-headers"), Some("content-type,prefer"));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
        let call = Call::new("POST", "/api/v1/validate").header("origin", origin);
        let reply = call.json(&json!({ "key": license.key })).send(&app.router).await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, allowed));
    }
    // Admin routes have no CORS.
    let reply = preflight(&app, "/api/v1/licenses", "https://example.com").await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (401, None));
}

#[tokio::test]
async fn cors_allows_all_origins_or_none() {
    let all = app(&["*"]).await;
    let reply = preflight(&all, "/api/v1/validate", "https://example.net").await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, Some("*")));
    let none = app(&[]).await;
    let reply = preflight(&none, "/api/v1/validate", "https://example.net").await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (405, None));
}

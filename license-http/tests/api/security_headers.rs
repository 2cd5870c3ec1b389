use serde_json::json;

use super::app::{TestApp, fault_store};
use super::bad_requests::Table;
use super::call::{Call, Reply};
use license_store::faults::Fault;

fn check(reply: &Reply, what: &str) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name} of {what}: {}", reply.status);
    }
}

#[tokio::test]
async fn every_response_has_security_headers() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    let license = app.issue("starter").await;
    let list = [
        app.admin("GET", "/api/v1/licenses"),
        app.admin("GET", &license.path),
        app.admin("GET", &format!("{}/usage", license.path)),
        app.admin("PATCH", &license.path),
        Call::new("GET", &license.path),
        Call::new("GET", "/nothing"),
        Call::new("GET", "/health"),
        Call::new("GET", "/ready"),
        Call::new("GET", "/metrics"),
        Call::new("GET", "/api/v1/validate"),
        Call::new("POST", "/api/v1/validate").json(&json!({ "key": license.key })),
    ];
    for call in &list {
        check(&call.send(&app.router).await, &call.target);
    }
    for row in Table::new(&app).await.rows {
        check(&row.call.send(&app.router).await, &row.call.target);
    }
    for fault in [Fault::Panic, Fault::Unavailable] {
        store.set(fault);
        for call in &list {
            check(&call.send(&app.router).await, &call.target);
        }
    }
}

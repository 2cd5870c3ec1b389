//! What every answer tells browsers and caches.

use serde_json::json;

use super::app::TestApp;
use super::call::{Call, Reply};
use super::faulty_store::{Fault, FaultyStore};
use super::rotten::Table;

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
async fn good_answers_and_bad_ones() {
    let store = FaultyStore::default();
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
    // Its rows need the outbox as well.
    let whole = TestApp::new().await;
    for row in Table::new(&whole).await.rows {
        check(&row.call.send(&whole.router).await, &row.call.target);
    }
    for fault in [Fault::Panic, Fault::Unavailable] {
        store.set(fault);
        for call in &list {
            check(&call.send(&app.router).await, &call.target);
        }
    }
}

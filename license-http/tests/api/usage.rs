use chrono::TimeDelta;
use license_core::limits;
use serde_json::{Value, json};

use super::app::{EMAIL, TestApp};

async fn used(app: &TestApp) -> String {
    let license = app
        .issue_with(json!({ "plan": "starter", "customer_email": EMAIL, "domains": ["one.example"] }))
        .await;
    for (domain, fingerprint) in [
        (Some("one.example"), None),
        (Some("two.example"), Some("machine-1")),
        (None, Some("machine-1")),
        (Some("api.test"), None),
    ] {
        app.validate(json!({ "key": license.key, "domain": domain, "fingerprint": fingerprint })).await;
        app.advance(TimeDelta::hours(1));
    }
    format!("{}/usage", license.path)
}

fn record(hour: u32, outcome: &str, domain: impl Into<Value>, fingerprint: impl Into<Value>) -> Value {
    let at = format!("2026-01-01T{hour:02}:00:00Z");
    json!({
        "at": at, "outcome": outcome, "domain": domain.into(), "fingerprint": fingerprint.into(),
        "country": null, "region": null, "client": null,
    })
}

#[tokio::test]
async fn a_report() {
    let app = TestApp::new().await;
    let usage = used(&app).await;
    let first = record(0, "VALID", "one.example", Value::Null);
    let second = record(1, "DOMAIN_LIMIT_REACHED", "two.example", "machine-1");
    let third = record(2, "VALID", Value::Null, "machine-1");
    let fourth = record(3, "VALID", "api.test", Value::Null);
    for (query, expected) in [
        (
            "",
            json!({
                "total": 3, "denied": 1, "last_validated_at": "2026-01-01T03:00:00Z",
                "by_outcome": {"VALID": 3, "DOMAIN_LIMIT_REACHED": 1},
                "recent": [fourth, third, second, first], "next_cursor": null,
            }),
        ),
        (
            "?from=2026-01-01T01:00:00Z&to=2026-01-01T03:00:00%2B00:00",
            json!({
                "total": 1, "denied": 1, "last_validated_at": "2026-01-01T02:00:00Z",
                "by_outcome": {"VALID": 1, "DOMAIN_LIMIT_REACHED": 1},
                "recent": [third, second], "next_cursor": null,
            }),
        ),
        (
            "?from=2027-01-01T00:00:00Z",
            json!({
                "total": 0, "denied": 0, "last_validated_at": null,
                "by_outcome": {}, "recent": [], "next_cursor": null,
            }),
        ),
    ] {
        let reply = app.get(&format!("{usage}{query}")).await;
        assert_eq!((reply.status, reply.json()), (200, expected), "{query}");
    }
    let expected = r#"{"total":3,"denied":1,"last_validated_at":"2026-01-01T03:00:00Z","by_outcome":"#;
    assert!(app.get(&usage).await.text().starts_with(expected));
}

#[tokio::test]
async fn the_same_moment_twice_is_no_contradiction() {
    let app = TestApp::new().await;
    let usage = used(&app).await;
    let reply = app.get(&format!("{usage}?from=2026-01-01T01:00:00Z&to=2026-01-01T01:00:00Z")).await;
    assert_eq!((reply.status, &reply.json()["recent"]), (200, &json!([])));
}

#[tokio::test]
async fn pages_of_records_that_stand_at_the_same_moment() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    for _ in 0..7 {
        app.validate(json!({ "key": license.key, "domain": "one.example" })).await;
    }
    app.advance(TimeDelta::seconds(1));
    app.validate(json!({ "key": license.key, "domain": "api.test" })).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("{}/usage?limit=3{cursor}", license.path)).await.json();
        assert_eq!(page["total"], 8, "the sums are of the range, not of the page");
        seen.extend(page["recent"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        // Newer than what was read: not on a later page.
        app.validate(json!({ "key": license.key, "domain": "denied.example" })).await;
    }
    assert_eq!(seen.len(), 8);
    assert_eq!(seen.iter().filter(|record| record["domain"] == "one.example").count(), 7);
}

#[tokio::test]
async fn a_client_is_remembered_as_it_is_told() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    for client in [json!(" Acme Editor/2.1.0 "), json!("x".repeat(limits::CLIENT_BYTES)), Value::Null] {
        let reply = app.validate(json!({ "key": license.key, "client": client })).await;
        assert_eq!(reply.json()["valid"], true, "{client}");
        app.advance(TimeDelta::hours(1));
    }
    let usage = app.get(&format!("{}/usage", license.path)).await.json();
    let clients: Vec<_> =
        usage["recent"].as_array().unwrap().iter().map(|record| record["client"].clone()).collect();
    assert_eq!(clients, [Value::Null, json!("x".repeat(limits::CLIENT_BYTES)), json!("Acme Editor/2.1.0")]);
}

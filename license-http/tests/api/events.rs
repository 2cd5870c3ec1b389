use chrono::TimeDelta;
use serde_json::{Value, json};

use super::app::{EMAIL, TestApp};
use super::call::Call;

fn types(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn events_are_listed_newest_first() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    app.advance(TimeDelta::seconds(1));
    app.post(&format!("{}/suspend", license.path)).await;
    let page = app.get("/api/v1/events").await.json();
    assert_eq!(types(&page), ["license.suspended", "license.created"]);
    assert_eq!(page["next_cursor"], Value::Null);
    let event = &page["data"][1];
    let names: Vec<_> = event.as_object().unwrap().keys().collect();
    assert_eq!(names, ["data", "id", "license_id", "sequence", "timestamp", "type"]);
    assert_eq!(event["id"], format!("evt_{}_0000000001", &license.id[4..]));
    assert_eq!((&event["license_id"], &event["sequence"]), (&json!(license.id), &json!(1)));
    assert_eq!(event["timestamp"], "2026-01-01T00:00:00Z");
    assert_eq!(event["data"]["license"]["customer_email"], EMAIL);
    for group in license.key.split('-').skip(1) {
        assert!(!event["data"]["license"]["key"].as_str().unwrap().contains(group), "the key is masked");
    }
}

#[tokio::test]
async fn events_are_filtered_and_paged() {
    let app = TestApp::new().await;
    let first = app.issue("starter").await;
    app.advance(TimeDelta::hours(1));
    app.issue("starter").await;
    app.advance(TimeDelta::seconds(1));
    app.post(&format!("{}/suspend", first.path)).await;
    for (query, expected) in [
        ("type=license.created".to_owned(), vec!["license.created", "license.created"]),
        ("type=license.revoked".to_owned(), vec![]),
        (format!("license={}", first.id), vec!["license.suspended", "license.created"]),
        ("license=lic_unknown".to_owned(), vec![]),
        ("from=2026-01-01T01:00:00Z".to_owned(), vec!["license.suspended", "license.created"]),
        ("to=2026-01-01T01:00:00Z".to_owned(), vec!["license.created"]),
        (
            format!("license={}&type=license.created&from=2026-01-01T00:00:00Z", first.id),
            vec!["license.created"],
        ),
    ] {
        let page = app.get(&format!("/api/v1/events?{query}")).await.json();
        assert_eq!(types(&page), expected, "{query}");
    }
    let mut seen = Vec::new();
    let mut target = "/api/v1/events?limit=2".to_owned();
    loop {
        let page = app.get(&target).await.json();
        seen.extend(types(&page).into_iter().map(ToOwned::to_owned));
        match page["next_cursor"].as_str() {
            Some(cursor) => target = format!("/api/v1/events?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ["license.suspended", "license.created", "license.created"]);
}

#[tokio::test]
async fn events_need_a_token() {
    let app = TestApp::new().await;
    let reply = Call::new("GET", "/api/v1/events").send(&app.router).await;
    assert_eq!(reply.fault(), (401, "UNAUTHORIZED".to_owned(), None));
}

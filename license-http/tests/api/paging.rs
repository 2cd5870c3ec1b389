use serde_json::json;

use super::app::{EMAIL, TestApp};

#[tokio::test]
async fn pages_are_stable_while_licenses_are_added() {
    let app = TestApp::new().await;
    let mut expected = Vec::new();
    for _ in 0..7 {
        app.advance(chrono::TimeDelta::milliseconds(1));
        expected.insert(0, app.issue("starter").await.id);
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("/api/v1/licenses?limit=3{cursor}")).await.json();
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= 3);
        seen.extend(data.iter().map(|license| license["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        app.advance(chrono::TimeDelta::milliseconds(1));
        app.issue("starter").await;
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn full_last_page_has_no_cursor() {
    let app = TestApp::new().await;
    for _ in 0..4 {
        app.issue("starter").await;
    }
    for (limit, more) in [(3, true), (4, false), (5, false)] {
        let page = app.get(&format!("/api/v1/licenses?limit={limit}")).await.json();
        assert_eq!(page["next_cursor"].is_string(), more, "{limit}");
    }
}

#[tokio::test]
async fn page_has_25_items_by_default_and_at_most_100() {
    let app = TestApp::new().await;
    let domains: Vec<_> = (0..101).map(|n| format!("d{n}.example.com")).collect();
    let license =
        app.issue_with(json!({ "plan": "enterprise", "customer_email": EMAIL, "domains": domains })).await;
    for (query, items) in [("", 25), ("?limit=1", 1), ("?limit=100", 100), ("?limit=007", 7)] {
        let page = app.get(&format!("{}/activations{query}", license.path)).await.json();
        assert_eq!(page["data"].as_array().unwrap().len(), items, "{query}");
    }
    let page = app.get(&format!("{}/activations?limit=100", license.path)).await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = app.get(&format!("{}/activations?limit=100&cursor={cursor}", license.path)).await.json();
    assert_eq!(rest["data"].as_array().unwrap().len(), 1);
    assert_eq!(rest["data"][0]["name"], "d100.example.com");
    assert_eq!(rest["next_cursor"], json!(null));
}

use chrono::TimeDelta;
use serde_json::json;

use super::app::{EMAIL, TestApp};

#[tokio::test]
async fn what_is_bound_is_listed_and_released() {
    let app = TestApp::new().await;
    let license = app
        .issue_with(json!({ "plan": "professional", "customer_email": EMAIL, "domains": ["one.example"] }))
        .await;
    app.advance(TimeDelta::seconds(1));
    app.validate(json!({ "key": license.key, "domain": "two.example", "fingerprint": "machine-1" })).await;
    let list = format!("{}/activations", license.path);
    let suffix = license.id.strip_prefix("lic_").unwrap();
    let entry = |sequence: u32, kind: &str, value: &str, at: &str| {
        let id = format!("act_{suffix}_{sequence:010}");
        json!({ "id": id, "kind": kind, "value": value, "created_at": at })
    };
    let one = entry(2, "domain", "one.example", "2026-01-01T00:00:00Z");
    let two = entry(4, "domain", "two.example", "2026-01-01T00:00:01Z");
    let device = entry(5, "device", "machine-1", "2026-01-01T00:00:01Z");
    for (query, data) in [
        ("", json!([one, two, device])),
        ("?kind=domain", json!([one, two])),
        ("?kind=device", json!([device])),
        ("?kind=device&limit=1", json!([device])),
    ] {
        let reply = app.get(&format!("{list}{query}")).await;
        assert_eq!(
            (reply.status, reply.json()),
            (200, json!({ "data": data, "next_cursor": null })),
            "{query}"
        );
    }
    let start =
        format!(r#"{{"data":[{{"id":"act_{suffix}_0000000002","kind":"domain","value":"one.example","#);
    assert!(app.get(&list).await.text().starts_with(&start));

    let released = app.delete(&format!("{list}/{}", two["id"].as_str().unwrap())).await;
    assert_eq!(released.status, 200);
    assert_eq!(released.json()["domains"], json!(["one.example"]));
    assert_eq!(released.header("etag"), Some("\"3\""));
    assert_eq!(app.get(&list).await.json()["data"], json!([one, device]));
    let again = app.delete(&format!("{list}/{}", two["id"].as_str().unwrap())).await;
    assert_eq!(again.fault(), (404, "ACTIVATION_NOT_FOUND".to_owned(), None));
}

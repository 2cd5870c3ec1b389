use chrono::TimeDelta;
use license_core::limits::LABEL_BYTES;
use serde_json::json;

use super::app::{EMAIL, TestApp};

#[tokio::test]
async fn activations_are_listed_and_released() {
    let app = TestApp::new().await;
    let license = app
        .issue_with(json!({ "plan": "professional", "customer_email": EMAIL, "domains": ["one.example"] }))
        .await;
    app.advance(TimeDelta::seconds(1));
    app.validate(json!({ "key": license.key, "domain": "two.example", "fingerprint": "machine-1" })).await;
    let list = format!("{}/activations", license.path);
    let suffix = license.id.strip_prefix("lic_").unwrap();
    let entry = |sequence: u32, kind: &str, name: &str, at: &str, seen: Option<&str>| {
        let id = format!("act_{suffix}_{sequence:010}");
        json!({
            "id": id, "kind": kind, "name": name, "label": null, "created_at": at, "first_seen_at": seen,
            "last_seen_at": seen, "validations": u32::from(seen.is_some()), "country": null
        })
    };
    let (created, seen) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
    let one = entry(2, "domain", "one.example", created, None);
    let two = entry(4, "domain", "two.example", seen, Some(seen));
    let device = entry(5, "device", "machine-1", seen, Some(seen));
    for (query, data) in [
        ("", json!([one, two, device])),
        ("?kind=domain", json!([one, two])),
        ("?kind=device", json!([device])),
        ("?kind=device&limit=1", json!([device])),
    ] {
        let reply = app.get(&format!("{list}{query}")).await;
        assert_eq!(
            (reply.status, reply.json()),
            (200, json!({ "data": data, "next_cursor": null, "as_of": seen })),
            "{query}"
        );
    }
    let start =
        format!(r#"{{"data":[{{"id":"act_{suffix}_0000000002","kind":"domain","name":"one.example","#);
    assert!(app.get(&list).await.text().starts_with(&start));

    let released = app.delete(&format!("{list}/{}", two["id"].as_str().unwrap())).await;
    assert_eq!(released.status, 200);
    assert_eq!(released.json()["domains"], json!(["one.example"]));
    assert_eq!(released.header("etag"), Some("\"3\""));
    assert_eq!(app.get(&list).await.json()["data"], json!([one, device]));
    let again = app.delete(&format!("{list}/{}", two["id"].as_str().unwrap())).await;
    assert_eq!(again.fault(), (404, "ACTIVATION_NOT_FOUND".to_owned(), None));
}

#[tokio::test]
async fn label_is_set_replaced_and_removed() {
    let app = TestApp::new().await;
    let license = app.issue("professional").await;
    app.validate(json!({ "key": license.key, "fingerprint": "machine-1" })).await;
    let list = format!("{}/activations", license.path);
    let activation = app.get(&list).await.json()["data"][0].clone();
    let path = format!("{list}/{}", activation["id"].as_str().unwrap());
    let longest = "x".repeat(LABEL_BYTES);
    for (label, kept) in [
        (json!(" Anna's laptop "), json!("Anna's laptop")),
        (json!(longest), json!(longest)),
        (json!(null), json!(null)),
    ] {
        let reply = app.admin("PATCH", &path).json(&json!({ "label": label })).send(&app.router).await;
        assert_eq!((reply.status, reply.header("etag").is_some()), (200, true), "{label}");
        assert_eq!(reply.json()["devices"], json!(["machine-1"]), "the license");
        assert_eq!(app.get(&list).await.json()["data"][0]["label"], kept);
    }
    let stale = app.admin("PATCH", &path).header("if-match", "\"2\"").json(&json!({ "label": "x" }));
    assert_eq!(stale.send(&app.router).await.fault(), (412, "LICENSE_STALE".to_owned(), None));
    assert_eq!(app.get(&list).await.json()["data"][0]["label"], json!(null));
}

/// A label may contain personal data.
#[tokio::test]
async fn labels_are_removed_with_the_customer() {
    let (app, _) = TestApp::with_access().await;
    let license = app.issue("professional").await;
    app.validate(json!({ "key": license.key, "fingerprint": "machine-1" })).await;
    let list = format!("{}/activations", license.path);
    let activation = app.get(&list).await.json()["data"][0].clone();
    let path = format!("{list}/{}", activation["id"].as_str().unwrap());
    app.admin("PATCH", &path).json(&json!({ "label": "Anna" })).send(&app.router).await;
    let audit = || async { app.get("/api/v1/audit").await };
    let entry = audit().await.json()["data"][0].clone();
    assert_eq!(entry["action"], "activation.label");
    assert_eq!(
        entry["changes"]["metadata"],
        json!({ "before": { "label": null }, "after": { "label": "Anna" } })
    );
    app.delete(&format!("/api/v1/customers/{EMAIL}")).await;
    assert_eq!(app.get(&list).await.json()["data"][0]["label"], json!(null));
    for traces in [audit().await, app.get("/api/v1/events").await] {
        assert!(!traces.text().contains("Anna"), "{}", traces.text());
    }
}

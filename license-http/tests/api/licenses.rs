use chrono::TimeDelta;
use license_core::limits;
use serde_json::{Value, json};

use super::app::{EMAIL, TestApp};

#[tokio::test]
async fn license_fields_have_a_fixed_order() {
    let app = TestApp::new().await;
    let reply = app
        .create(json!({
            "plan": "professional",
            "customer_email": "Dev@Example.com",
            "domains": ["https://www.Example.com/", "*.example.org"],
            "metadata": {"order": "A-17", "lines": [1, 2.5, null]},
        }))
        .await;
    assert_eq!(reply.status, 201);
    let license = reply.json();
    let (id, key) = (license["id"].as_str().unwrap(), license["key"].as_str().unwrap());
    assert!(id.starts_with("lic_") && key.starts_with("TO-"));
    let expected = format!(
        concat!(
            r#"{{"id":"{}","key":"{}","status":"active","plan":"professional","customer_email":"dev@example.com","#,
            r#""max_domains":3,"domains":["example.com","*.example.org"],"max_devices":10,"devices":[],"#,
            r#""created_at":"2026-01-01T00:00:00Z","expires_at":"2027-01-01T00:00:00Z","last_validated_at":null,"#,
            r#""validation_count":0,"metadata":{{"lines":[1,2.5,null],"order":"A-17"}},"#,
            r#""domains_used":2,"devices_used":0,"activated_at":null,"version":1,"product":"default","as_of":"2026-01-01T00:00:00Z"}}"#
        ),
        id, key
    );
    assert_eq!(reply.text(), expected);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("etag"), Some("\"1\""));
    assert_eq!(reply.header("location"), Some(format!("licenses/{id}").as_str()));

    let again = app.get(&format!("/api/v1/licenses/{id}")).await;
    assert_eq!((again.status, again.text()), (200, expected.as_str()));
    assert_eq!(again.header("etag"), Some("\"1\""));
}

#[tokio::test]
async fn null_is_unlimited_and_absent_uses_the_plan() {
    let app = TestApp::new().await;
    for (body, expected) in [
        (json!({}), json!([1, 2, "2027-01-01T00:00:00Z"])),
        (json!({"max_domains": null, "max_devices": null, "expires_at": null}), json!([null, null, null])),
        (
            json!({"max_domains": 0, "max_devices": 5, "expires_at": "2026-06-01T12:00:00.5+02:00"}),
            json!([0, 5, "2026-06-01T10:00:00.500Z"]),
        ),
        // JSON has one type of number.
        (json!({"max_domains": 3.0, "max_devices": 1e7}), json!([3, 10_000_000, "2027-01-01T00:00:00Z"])),
    ] {
        let mut request = json!({ "plan": "starter", "customer_email": EMAIL });
        request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let license = app.create(request).await.json();
        assert_eq!(json!([license["max_domains"], license["max_devices"], license["expires_at"]]), expected);
    }
}

#[tokio::test]
async fn times_have_only_the_digits_they_need() {
    let app = TestApp::new().await;
    for (sent, shown) in [
        ("2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z"),
        ("2026-06-01T00:00:00.000Z", "2026-06-01T00:00:00Z"),
        ("2026-06-01T00:00:00.120Z", "2026-06-01T00:00:00.120Z"),
        ("2026-06-01T00:00:00.123456Z", "2026-06-01T00:00:00.123456Z"),
        ("2026-06-01T00:00:00.123456999Z", "2026-06-01T00:00:00.123456Z"),
        ("2026-06-30T23:59:60Z", "2026-07-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ] {
        let body = json!({ "plan": "starter", "customer_email": EMAIL, "expires_at": sent });
        assert_eq!(app.create(body).await.json()["expires_at"], shown, "{sent}");
    }
}

#[tokio::test]
async fn largest_values_are_accepted() {
    let app = TestApp::new().await;
    let host = format!("{0}.{0}.{0}.com", "a".repeat(60));
    let email = format!("name@{}.{host}", "d".repeat(limits::EMAIL_BYTES - 6 - host.len()));
    assert_eq!(email.len(), limits::EMAIL_BYTES);
    let domains: Vec<_> = (0..limits::DOMAINS_PER_REQUEST).map(|n| format!("d{n}.example.com")).collect();
    let metadata = json!({ "a": "x".repeat(limits::METADATA_BYTES - 8) });
    let body = json!({
        "plan": "enterprise",
        "customer_email": email,
        "max_domains": limits::MAX_SLOTS,
        "domains": domains,
        "metadata": metadata,
    });
    let license = app.create(body).await.json();
    assert_eq!(license["domains_used"], limits::DOMAINS_PER_REQUEST);
    assert_eq!(license["customer_email"], email);
    assert_eq!(license["metadata"], metadata);
}

#[tokio::test]
async fn change_affects_only_the_sent_fields() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let before = app.get(&license.path).await.json();
    for (change, fields) in [
        (json!({}), vec![]),
        (json!({"customer_email": "new@example.com"}), vec![("customer_email", json!("new@example.com"))]),
        (json!({"max_devices": null}), vec![("max_devices", Value::Null)]),
        (
            json!({"domains": ["one.example"]}),
            vec![("domains", json!(["one.example"])), ("domains_used", json!(1))],
        ),
        (
            json!({"domains": ["two.example"]}),
            vec![("domains", json!(["two.example"])), ("domains_used", json!(1))],
        ),
        (json!({"metadata": {"a": 1}}), vec![("metadata", json!({"a": 1}))]),
        (json!({"expires_at": null}), vec![("expires_at", Value::Null)]),
        (
            json!({"expires_at": "2025-12-31T00:00:00Z"}),
            vec![("expires_at", json!("2025-12-31T00:00:00Z")), ("status", json!("expired"))],
        ),
        (json!({"status": "suspended"}), vec![("status", json!("suspended"))]),
        (
            json!({"plan": "professional", "status": "active", "expires_at": "2026-12-31T00:00:00Z"}),
            vec![
                ("plan", json!("professional")),
                ("max_domains", json!(3)),
                ("max_devices", json!(10)),
                ("status", json!("active")),
                ("expires_at", json!("2026-12-31T00:00:00Z")),
            ],
        ),
        (json!({"status": "revoked"}), vec![("status", json!("revoked"))]),
        (json!({"status": "revoked"}), vec![]),
    ] {
        let mut expected = app.get(&license.path).await.json();
        let reply = app.put(&license.path, change.clone()).await;
        assert_eq!(reply.status, 200, "{change}: {}", reply.text());
        let version = expected["version"].as_u64().unwrap() + u64::from(!fields.is_empty());
        expected["version"] = version.into();
        for (field, value) in fields {
            expected[field] = value;
        }
        assert_eq!(reply.json(), expected, "{change}");
        assert_eq!(reply.header("etag"), Some(format!("\"{version}\"").as_str()));
    }
    assert_eq!(before["key"], app.get(&license.path).await.json()["key"]);
}

#[tokio::test]
async fn licenses_are_filtered() {
    let app = TestApp::new().await;
    let issue = async |email: &str, plan: &str| {
        // Ids of the same millisecond have a random order.
        app.advance(TimeDelta::milliseconds(1));
        app.issue_with(json!({ "plan": plan, "customer_email": email })).await
    };
    let first = issue("a@example.com", "starter").await;
    let second = issue("b@example.com", "professional").await;
    let third = issue("a@example.com", "professional").await;
    let fourth = issue("a+tag@example.com", "perpetual").await;
    app.post(&format!("{}/suspend", second.path)).await;
    app.delete(&third.path).await;
    app.advance(TimeDelta::days(365));
    for (query, expected) in [
        ("", vec![&fourth, &third, &second, &first]),
        ("?status=active", vec![&fourth]),
        ("?status=expired", vec![&first]),
        ("?status=suspended", vec![&second]),
        ("?status=revoked", vec![&third]),
        ("?plan=professional", vec![&third, &second]),
        ("?plan=enterprise", vec![]),
        ("?customer_email=A%40Example.com", vec![&third, &first]),
        ("?customer_email=a@example.com&status=expired&plan=starter&limit=100", vec![&first]),
        ("?customer_email=a%2Btag%40example.com", vec![&fourth]),
        ("?&limit=2&", vec![&fourth, &third]),
    ] {
        let reply = app.get(&format!("/api/v1/licenses{query}")).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        let found = reply.json();
        let ids: Vec<_> = found["data"].as_array().unwrap().iter().map(|license| &license["id"]).collect();
        assert_eq!(ids, expected.iter().map(|license| &license.id).collect::<Vec<_>>(), "{query}");
    }
    let reply = app.get("/api/v1/licenses?plan=enterprise").await;
    assert_eq!(reply.text(), r#"{"data":[],"next_cursor":null,"as_of":"2027-01-01T00:00:00.004Z"}"#);
    let listed = app.get("/api/v1/licenses?status=expired").await;
    let mut license = app.get(&first.path).await.json();
    license.as_object_mut().unwrap().remove("as_of");
    assert_eq!(listed.json()["data"][0], license, "a list has complete licenses");
    assert_eq!(listed.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn metadata_of_a_change_is_merged() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    for (change, expected) in [
        (json!({"order": 7, "seats": {"eu": 1}, "drop": null}), json!({"order": 7, "seats": {"eu": 1}})),
        (json!({"seats": {"us": 2}}), json!({"order": 7, "seats": {"eu": 1, "us": 2}})),
        (json!({"order": null, "seats": {"eu": null}}), json!({"seats": {"us": 2}})),
        (json!({"seats": [null]}), json!({"seats": [null]})),
        (json!({}), json!({"seats": [null]})),
    ] {
        let reply = app.put(&license.path, json!({ "metadata": change })).await;
        assert_eq!((reply.status, &reply.json()["metadata"]), (200, &expected), "{change}");
    }
    let keys = |n, name: &str| -> Value {
        (0..n).map(|n| (format!("{name}{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into()
    };
    assert_eq!(app.put(&license.path, json!({ "metadata": keys(63, "a") })).await.status, 200);
    let reply = app.put(&license.path, json!({ "metadata": keys(1, "b") })).await;
    assert_eq!(reply.fault(), (422, "METADATA_INVALID".to_owned(), Some("metadata".to_owned())));
    assert_eq!(reply.json()["detail"], "The metadata would be invalid: metadata can have at most 64 keys.");
}

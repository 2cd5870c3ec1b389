//! Search of licenses, and the list of licenses with its filters.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::app::{EMAIL, Issued, TestApp};
use super::call::Reply;

async fn search(app: &TestApp, body: Value) -> Reply {
    app.admin("POST", "/api/v1/licenses/search").json(&body).send(&app.router).await
}

fn ids(reply: &Reply) -> Vec<String> {
    let found = reply.json();
    let data = found["data"].as_array().unwrap_or_else(|| panic!("{found}"));
    data.iter().map(|license| license["id"].as_str().unwrap().to_owned()).collect()
}

/// Issues three licenses, oldest first.
async fn issue_three(app: &TestApp) -> [Issued; 3] {
    let issue = async |body: Value| {
        app.advance(TimeDelta::milliseconds(1));
        app.issue_with(body).await
    };
    [
        issue(json!({
            "plan": "starter", "customer_email": "Ada@Example.com", "customer_name": "Ada L.", "external_id": "sub_1",
            "domains": ["*.example.com"], "metadata": {"order": "A-17"},
        }))
        .await,
        issue(json!({ "plan": "professional", "customer_email": "bo@example.org" })).await,
        issue(json!({ "plan": "perpetual" })).await,
    ]
}

#[tokio::test]
async fn each_field_finds_its_licenses() {
    let app = TestApp::new().await;
    let [first, second, third] = issue_three(&app).await;
    app.validate(json!({ "key": second.key, "fingerprint": "m-1" })).await;
    let pasted = format!("My key: {} ", first.key.to_lowercase().replace('-', " "));
    for (body, expected) in [
        (json!({}), vec![&third, &second, &first]),
        (json!({ "key": first.key }), vec![&first]),
        (json!({ "key": pasted }), vec![&first]),
        (json!({ "customer_email": "ADA@example.com" }), vec![&first]),
        (json!({ "email_prefix": "ad" }), vec![&first]),
        (json!({ "email_domain": "@example.org" }), vec![&second]),
        (json!({ "domain": "https://shop.example.com/cart" }), vec![&first]),
        (json!({ "fingerprint": "m-1" }), vec![&second]),
        (json!({ "external_id": "sub_1" }), vec![&first]),
        (json!({ "metadata": {"order": "A-17"} }), vec![&first]),
        (json!({ "product": "default", "plan": "perpetual" }), vec![&third]),
        (json!({ "status": "active", "never_activated": true }), vec![&third, &first]),
        (json!({ "expires_after": "2026-06-01T00:00:00Z" }), vec![&second, &first]),
        (json!({ "expires_before": "2026-06-01T00:00:00Z" }), vec![]),
        (
            json!({ "last_validated_after": "2026-01-01", "last_validated_before": "2026-01-02" }),
            vec![&second],
        ),
        (json!({ "at_limit": true }), vec![&first]),
        (json!({ "sort": "created_at", "limit": 2 }), vec![&first, &second]),
        (json!({ "sort": "-expires_at", "cursor": null }), vec![&third, &second, &first]),
    ] {
        let reply = search(&app, body.clone()).await;
        assert_eq!(reply.status, 200, "{body}: {}", reply.text());
        assert_eq!(
            ids(&reply),
            expected.iter().map(|license| license.id.clone()).collect::<Vec<_>>(),
            "{body}"
        );
    }
    let reply = search(&app, json!({ "external_id": "none" })).await;
    let expected = r#"{"data":[],"next_cursor":null,"total":{"count":0,"exact":true},"as_of":"2026-01-01T00:00:00.003Z"}"#;
    assert_eq!(reply.text(), expected);
    let found = search(&app, json!({ "external_id": "sub_1" })).await.json()["data"][0].clone();
    assert_eq!((&found["customer_name"], &found["external_id"]), (&json!("Ada L."), &json!("sub_1")));
    assert_eq!(app.get(&third.path).await.json()["customer_email"], Value::Null);
}

#[tokio::test]
async fn mistyped_key_is_refused_with_the_right_one() {
    let app = TestApp::new().await;
    let key = app.issue("starter").await.key;
    let wrong = if key.ends_with('2') { '3' } else { '2' };
    let mistyped = format!("{}{wrong}", &key[..key.len() - 1]);
    let reply = search(&app, json!({ "key": mistyped })).await;
    assert_eq!(reply.fault(), (422, "LICENSE_KEY_MALFORMED".to_owned(), Some("key".to_owned())));
    assert_eq!(reply.json()["suggestion"], key);
    let reply = search(&app, json!({ "key": "nothing" })).await;
    assert_eq!(reply.fault(), (422, "LICENSE_KEY_MALFORMED".to_owned(), Some("key".to_owned())));
    assert_eq!(reply.json()["suggestion"], Value::Null);
}

#[tokio::test]
async fn invalid_search_names_its_field() {
    let app = TestApp::new().await;
    for (body, field) in [
        (json!({ "emial_prefix": "a" }), "emial_prefix"),
        (json!({ "key": 1 }), "key"),
        (json!({ "customer_email": "nobody" }), "customer_email"),
        (json!({ "email_prefix": "" }), "email_prefix"),
        (json!({ "email_domain": "a@b.example" }), "email_domain"),
        (json!({ "domain": "exa mple" }), "domain"),
        (json!({ "fingerprint": null }), "fingerprint"),
        (json!({ "external_id": "" }), "external_id"),
        (json!({ "metadata": ["a"] }), "metadata"),
        (json!({ "metadata": {"seats": 3} }), "metadata.seats"),
        (json!({ "metadata": {"note": "x".repeat(129)} }), "metadata.note"),
        (json!({ "plan": "" }), "plan"),
        (json!({ "status": "paused" }), "status"),
        (json!({ "expires_before": "2026-01-01" }), "expires_before"),
        (json!({ "never_activated": "true" }), "never_activated"),
        (json!({ "last_validated_after": "2026-01-01T00:00:00Z" }), "last_validated_after"),
        (json!({ "at_limit": 1 }), "at_limit"),
        (json!({ "sort": "plan" }), "sort"),
        (json!({ "limit": 0 }), "limit"),
        (json!({ "limit": 101 }), "limit"),
        (json!({ "cursor": 1 }), "cursor"),
    ] {
        let reply = search(&app, body.clone()).await;
        assert_eq!(reply.fault(), (422, "INVALID_FIELD".to_owned(), Some(field.to_owned())), "{body}");
    }
    let detail = search(&app, json!({ "emial_prefix": "a" })).await.json()["detail"].to_string();
    assert!(detail.contains("did you mean email_prefix?"), "{detail}");
}

#[tokio::test]
async fn order_needs_filters_that_support_it() {
    let app = TestApp::new().await;
    for (body, status) in [
        (json!({ "sort": "-created_at", "email_prefix": "a" }), 200),
        (json!({ "sort": "created_at", "plan": "starter", "status": "active" }), 200),
        (json!({ "sort": "expires_at", "product": "default", "expires_after": "2026-01-01T00:00:00Z" }), 200),
        (json!({ "sort": "created_at", "expires_after": "2026-01-01T00:00:00Z" }), 422),
        (json!({ "sort": "expires_at", "email_prefix": "a" }), 422),
        (json!({ "sort": "-expires_at", "at_limit": true }), 422),
    ] {
        let reply = search(&app, body.clone()).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        if status == 422 {
            assert_eq!(
                reply.fault(),
                (422, "SORT_NOT_SUPPORTED".to_owned(), Some("sort".to_owned())),
                "{body}"
            );
        }
    }
    let reply = app.get(&format!("/api/v1/licenses?customer_email={EMAIL}&sort=expires_at")).await;
    assert_eq!(reply.fault(), (422, "SORT_NOT_SUPPORTED".to_owned(), Some("sort".to_owned())));
}

#[tokio::test]
async fn cursor_is_bound_to_its_search() {
    let app = TestApp::new().await;
    let [first, second, third] = issue_three(&app).await;
    let page = search(&app, json!({ "status": "active", "limit": 1 })).await;
    assert_eq!(ids(&page), [third.id]);
    assert_eq!(page.json()["total"], json!({ "count": 3, "exact": true }));
    let cursor = page.json()["next_cursor"].as_str().unwrap().to_owned();
    let next = search(&app, json!({ "cursor": cursor, "limit": 2, "status": "active" })).await;
    assert_eq!(ids(&next), [second.id.clone(), first.id.clone()]);
    assert_eq!(next.json()["next_cursor"], Value::Null);
    for body in [
        json!({ "cursor": cursor }),
        json!({ "cursor": cursor, "status": "revoked" }),
        json!({ "cursor": cursor, "status": "active", "sort": "created_at" }),
        json!({ "cursor": cursor, "status": "active", "email_prefix": "a" }),
        json!({ "cursor": format!("{cursor}x y"), "status": "active" }),
        json!({ "cursor": first.id, "status": "active" }),
    ] {
        let reply = search(&app, body.clone()).await;
        assert_eq!(reply.fault(), (400, "BAD_REQUEST".to_owned(), Some("cursor".to_owned())), "{body}");
    }
    let listed = app.get(&format!("/api/v1/licenses?status=active&limit=2&cursor={cursor}")).await;
    assert_eq!(listed.status, 200, "a list with the same filter is the same search");
}

#[tokio::test]
async fn list_has_filters_and_a_table() {
    let app = TestApp::new().await;
    let [first, second, third] = issue_three(&app).await;
    for (query, expected) in [
        ("product=default", vec![&third, &second, &first]),
        ("external_id=sub_1", vec![&first]),
        ("expires_after=2026-06-01T00:00:00Z&never_activated=true", vec![&second, &first]),
        ("at_limit=false&sort=created_at", vec![]),
        ("sort=created_at&limit=1", vec![&first]),
    ] {
        let reply = app.get(&format!("/api/v1/licenses?{query}")).await;
        if query.starts_with("at_limit") {
            assert_eq!(reply.status, 422, "{query}");
            continue;
        }
        assert_eq!(ids(&reply), expected.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), "{query}");
    }
    let call = app.admin("GET", "/api/v1/licenses?plan=starter&limit=1").header("accept", "text/csv");
    let table = call.send(&app.router).await;
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(table.header("x-next-cursor"), None);
    let Issued { id, key, .. } = &first;
    assert_eq!(
        table.text(),
        format!(
            "id,key,status,product,plan,customer_email,customer_name,external_id,max_domains,domains_used,max_devices,\
             devices_used,created_at,expires_at,activated_at,last_validated_at,validation_count\r\n\
             {id},{key},active,default,starter,ada@example.com,Ada L.,sub_1,1,1,2,0,2026-01-01T00:00:00.001Z,\
             2027-01-01T00:00:00.001Z,,,0\r\n"
        )
    );
    let call = app.admin("GET", "/api/v1/licenses?limit=1").header("accept", "text/csv");
    let cursor = call.send(&app.router).await.header("x-next-cursor").unwrap().to_owned();
    let next = app.get(&format!("/api/v1/licenses?cursor={cursor}")).await;
    assert_eq!(ids(&next), [second.id, first.id]);
}

#[tokio::test]
async fn external_id_is_unique() {
    let app = TestApp::new().await;
    let [first, second, _] = issue_three(&app).await;
    let taken = (409, "EXTERNAL_ID_TAKEN".to_owned(), Some("external_id".to_owned()));
    let reply = app.create(json!({ "plan": "starter", "external_id": "sub_1" })).await;
    assert_eq!(reply.fault(), taken);
    assert_eq!(app.put(&second.path, json!({ "external_id": " sub_1 " })).await.fault(), taken);
    let removed = app.put(&first.path, json!({ "external_id": null, "customer_name": null })).await;
    assert_eq!(
        (&removed.json()["external_id"], &removed.json()["customer_name"]),
        (&Value::Null, &Value::Null)
    );
    app.delete(&second.path).await;
    let reply = app.put(&second.path, json!({ "external_id": "sub_1", "metadata": {"refund": "R-1"} })).await;
    assert_eq!(
        (reply.status, &reply.json()["external_id"]),
        (200, &json!("sub_1")),
        "a revoked one accepts it"
    );
    let reply = app.put(&second.path, json!({ "customer_name": "Bo" })).await;
    assert_eq!(reply.fault(), (409, "LICENSE_REVOKED".to_owned(), None));
}

#[tokio::test]
async fn customers_have_counts_and_licenses() {
    let app = TestApp::new().await;
    let [first, second, _] = issue_three(&app).await;
    app.issue_with(json!({ "plan": "starter", "customer_email": "ada@example.com" })).await;
    app.validate(json!({ "key": first.key, "domain": "shop.example.com" })).await;
    app.post(&format!("{}/suspend", first.path)).await;
    let list = app.get("/api/v1/customers?email_prefix=AD").await.json();
    let ada = json!({
        "customer_email": "ada@example.com", "customer_name": "Ada L.",
        "license_counts": {"active": 1, "suspended": 1, "expired": 0, "revoked": 0},
        "last_validated_at": "2026-01-01T00:00:00.003Z",
    });
    assert_eq!(list["data"], json!([ada]));
    let page = app.get("/api/v1/customers?limit=1").await.json();
    let next = app.get(&format!("/api/v1/customers?cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!(next.json()["data"][0]["customer_email"], "bo@example.org");
    let one = app.get("/api/v1/customers/BO@example.org").await.json();
    assert_eq!(one["license_counts"]["active"], 1);
    assert_eq!(one["licenses"][0]["id"], second.id);
    let unknown = app.get("/api/v1/customers/nobody@example.com").await;
    assert_eq!(unknown.fault(), (404, "CUSTOMER_NOT_FOUND".to_owned(), None));
}

#[tokio::test]
async fn erased_customer_keeps_no_name() {
    let (app, _) = TestApp::with_access().await;
    let [first, _, _] = issue_three(&app).await;
    app.delete("/api/v1/customers/ada@example.com").await;
    let license = app.get(&first.path).await.json();
    assert_eq!((&license["customer_name"], &license["external_id"]), (&Value::Null, &json!("sub_1")));
    for target in ["/api/v1/events", "/api/v1/audit", "/api/v1/licenses", "/api/v1/customers"] {
        let text = app.get(target).await.text().to_owned();
        assert!(!text.contains("Ada L.") && !text.to_lowercase().contains("ada@"), "{target}: {text}");
    }
    let found = search(&app, json!({ "metadata": {"order": "A-17"} })).await;
    assert_eq!(ids(&found), Vec::<String>::new());
}

use license_core::command::LicensePatch;
use license_core::license::{CustomerEmail, LicenseId};
use serde_json::{Value, json};

use super::app::{EMAIL, TestApp};

async fn issue(app: &TestApp, email: &str, order: &str) -> super::app::Issued {
    app.issue_with(json!({ "plan": "professional", "customer_email": email, "metadata": { "order": order }, "domains": ["example.com"] }))
        .await
}

#[tokio::test]
async fn erased_customer_leaves_no_trace() {
    let (app, _) = TestApp::with_access().await;
    let (mine, other) = (issue(&app, EMAIL, "A-17").await, issue(&app, "other@example.com", "B-18").await);
    let revoked = issue(&app, EMAIL, "A-19").await;
    app.delete(&revoked.path).await;
    // Transferred to another customer before.
    let transferred = issue(&app, EMAIL, "A-20").await;
    app.put(
        &transferred.path,
        json!({ "customer_email": "other@example.com", "metadata": { "order": "B-21" } }),
    )
    .await;
    app.validate(json!({ "key": mine.key, "domain": "example.com" })).await;
    let erase = "/api/v1/customers/Dev%40Example.com";
    let reply = app.delete(erase).await;
    assert_eq!((reply.status, &reply.json()["licenses"]), (200, &json!(2)), "{}", reply.text());
    let pseudonym = reply.json()["customer_email"].clone();
    assert!(pseudonym.as_str().unwrap().ends_with("@erased.invalid"), "{pseudonym}");

    let kept = app.get(&mine.path).await.json();
    assert_eq!((&kept["customer_email"], &kept["metadata"]), (&pseudonym, &json!({})));
    assert_eq!((&kept["validation_count"], &kept["domains"]), (&json!(1), &json!(["example.com"])));
    let state = app.get(&revoked.path).await.json();
    assert_eq!((&state["status"], &state["customer_email"]), (&json!("revoked"), &pseudonym));
    assert_eq!(app.validate(json!({ "key": mine.key, "domain": "example.com" })).await.json()["valid"], true);
    assert_eq!(app.get(&other.path).await.json()["customer_email"], "other@example.com");

    let audit = app.get("/api/v1/audit?limit=100").await;
    for trace in [EMAIL, "A-17", "A-19", "A-20"] {
        assert!(!audit.text().contains(trace), "{trace} is in the audit");
    }
    assert!(
        audit.text().contains("B-18") && audit.text().contains("other@example.com"),
        "other customers keep their data"
    );
    let newest = &audit.json()["data"][0];
    assert_eq!(
        (&newest["action"], &newest["actor"]["name"]),
        (&json!("customer.erase"), &json!("admin token"))
    );
    let list =
        app.get(&format!("/api/v1/licenses?customer_email={}", pseudonym.as_str().unwrap())).await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "the licenses stay grouped");
    assert_eq!(app.get(&format!("/api/v1/licenses?customer_email={EMAIL}")).await.json()["data"], json!([]));

    let again = app.delete(erase).await.json();
    assert_eq!(again, json!({ "customer_email": pseudonym, "licenses": 0 }));
    let of_pseudonym = app.delete(&format!("/api/v1/customers/{}", pseudonym.as_str().unwrap())).await.json();
    assert_eq!(of_pseudonym, again);
    assert_eq!(app.get(&mine.path).await.json()["customer_email"], pseudonym);
}

/// The embedder changed the customer without an actor, and the audit has no entry that names the old address.
#[tokio::test]
async fn former_customer_leaves_no_trace() {
    let (app, _) = TestApp::with_access().await;
    let license = issue(&app, EMAIL, "A-17").await;
    let id = LicenseId::parse(&license.id).unwrap();
    let other = CustomerEmail::parse("other@example.com").ok();
    let change = LicensePatch { customer_email: Some(other), ..LicensePatch::default() };
    app.services.licenses.change(&id, change).await.unwrap();
    app.advance(chrono::TimeDelta::days(2));
    assert_eq!(app.services.access.prune_audit(1, app.services.now()).await.unwrap(), 1);
    let reply = app.delete(&format!("/api/v1/customers/{EMAIL}")).await;
    assert_eq!((reply.status, &reply.json()["licenses"]), (200, &json!(0)), "{}", reply.text());
    for target in ["/api/v1/events?limit=100", "/api/v1/audit?limit=100"] {
        let text = app.get(target).await.text().to_owned();
        assert!(!text.contains(EMAIL), "{target}: {text}");
    }
    assert_eq!(app.get(&license.path).await.json()["customer_email"], "other@example.com");
}

#[tokio::test]
async fn spellings_of_a_mail_domain_are_erased_together() {
    let (app, _) = TestApp::with_access().await;
    let emails = ["dev@bücher.example", "Dev@XN--BCHER-KVA.example", "dev@bücher。example"];
    let mut paths = Vec::new();
    for email in emails {
        paths.push(issue(&app, email, email).await.path);
    }
    let found = app.get("/api/v1/licenses?customer_email=dev%40B%C3%BCcher.example").await.json();
    let found: Vec<_> = found["data"].as_array().unwrap().iter().map(|one| &one["customer_email"]).collect();
    assert_eq!(found, ["dev@xn--bcher-kva.example"; 3]);
    let erased = app.delete("/api/v1/customers/dev@b%C3%BCcher.example").await.json();
    assert_eq!(erased["licenses"], 3);
    for path in paths {
        assert_eq!(app.get(&path).await.json()["customer_email"], erased["customer_email"]);
    }
}

#[tokio::test]
async fn export_has_all_pages_of_all_data() {
    let (app, _) = TestApp::with_access().await;
    let unknown = app.get("/api/v1/customers/unknown@example.com/export").await;
    assert_eq!(
        (unknown.status, unknown.json()),
        (200, json!({ "customer_email": "unknown@example.com", "licenses": [] }))
    );
    let mut issued = Vec::new();
    // More than one page of each.
    for _ in 0..101 {
        issued.push(app.issue("enterprise").await);
    }
    issue(&app, "other@example.com", "B-18").await;
    for number in 0..101 {
        app.validate(json!({ "key": issued[0].key, "fingerprint": format!("device {number}") })).await;
    }
    let export = app.get(&format!("/api/v1/customers/{EMAIL}/export")).await;
    assert_eq!(
        (export.header("content-type"), export.header("cache-control")),
        (Some("application/json"), Some("no-store"))
    );
    let export = export.json();
    assert_eq!(export["customer_email"], EMAIL);
    let licenses = export["licenses"].as_array().unwrap();
    let count = |license: &Value, list: &str| license[list].as_array().unwrap().len();
    assert_eq!(licenses.len(), 101);
    let used = licenses.iter().find(|license| license["license"]["id"] == issued[0].id).unwrap();
    let mut license = app.get(&issued[0].path).await.json();
    license.as_object_mut().unwrap().remove("as_of");
    assert_eq!(used["license"], license);
    assert_eq!(count(used, "activations"), 101);
    // Created, activated, and one event per slot.
    assert_eq!(count(used, "events"), 103);
    assert_eq!(count(used, "validations"), 101);
    // One day, with one rollup per device.
    assert_eq!(count(used, "usage"), 101);
    let first = json!({
        "day": "2026-01-01", "outcome": "VALID", "domain": null, "fingerprint": "device 0", "country": null, "count": 1,
        "first_at": "2026-01-01T00:00:00Z", "last_at": "2026-01-01T00:00:00Z",
    });
    assert_eq!(used["usage"][0], first);
    assert_eq!(used["events"][0]["type"], "license.created");
}

#[tokio::test]
async fn malformed_email_is_refused() {
    let app = TestApp::new().await;
    for email in ["x", "%ff", "a%00@example.com", "%20"] {
        let fault = (400, "BAD_REQUEST".to_owned(), Some("email".to_owned()));
        assert_eq!(app.delete(&format!("/api/v1/customers/{email}")).await.fault(), fault, "{email}");
        assert_eq!(app.get(&format!("/api/v1/customers/{email}/export")).await.fault(), fault, "{email}");
    }
}

//! The list of revoked leases, as licensed software reads it.

use std::time::Duration;

use chrono::TimeDelta;
use license_store::faults::Fault;
use serde_json::json;

use super::app::{TestApp, fault_store};
use super::call::{Call, Reply};
use super::leases::{Software, claims};

async fn revocations(app: &TestApp) -> Reply {
    Call::new("GET", "/api/v1/revocations").send(&app.router).await
}

/// Lets the list in memory become old.
async fn wait(app: &TestApp) {
    tokio::time::advance(Duration::from_mins(1)).await;
    app.advance(TimeDelta::minutes(1));
}

#[tokio::test(start_paused = true)]
async fn software_stops_when_its_lease_is_on_the_list() {
    let app = TestApp::new().await;
    let license = app.issue("offline").await;
    let lease = app.lease(json!({ "key": license.key, "fingerprint": "a" })).await.json();
    let mut software = Software::new(&app, "a");
    software.add_file(&app, &lease["file"]).unwrap();
    software.add_revocations(&revocations(&app).await.json());
    assert_eq!(software.decide(app.services.now()), Ok(()));

    app.post(&format!("{}/suspend", license.path)).await;
    wait(&app).await;
    software.add_revocations(&revocations(&app).await.json());
    assert_eq!(software.decide(app.services.now()), Err("LEASE_REVOKED".to_owned()));

    app.post(&format!("{}/reinstate", license.path)).await;
    wait(&app).await;
    software.add_revocations(&revocations(&app).await.json());
    assert_eq!(software.decide(app.services.now()), Ok(()), "the newest list counts");
}

#[tokio::test(start_paused = true)]
async fn list_is_made_once_a_minute_and_compressed() {
    let app = TestApp::new().await;
    let license = app.issue("offline").await;
    let body = json!({ "key": license.key, "fingerprint": "a" });
    app.lease(body).await;
    let first = revocations(&app).await;
    assert_eq!((first.status, first.header("cache-control")), (200, Some("public, max-age=60")));
    assert_eq!((first.header("vary"), first.header("content-encoding")), (Some("accept-encoding"), None));
    app.delete(&license.path).await;
    assert_eq!(revocations(&app).await.json(), first.json(), "from memory");

    let tag = first.header("etag").unwrap().to_owned();
    let get = |name: &str, value: &str| Call::new("GET", "/api/v1/revocations").header(name, value);
    for value in [tag.clone(), format!("W/{tag}"), format!("\"a\", {tag}"), "*".to_owned()] {
        let reply = get("if-none-match", &value).send(&app.router).await;
        assert_eq!((reply.status, reply.header("etag")), (304, Some(&*tag)), "{value}");
    }
    wait(&app).await;
    let second = get("if-none-match", &tag).send(&app.router).await;
    assert_eq!(second.status, 200, "the list has changed");
    assert_ne!(second.header("etag"), Some(&*tag));

    for (value, coding) in
        [("gzip", Some("gzip")), ("br;q=1.0, GZIP;q=0.5", Some("gzip")), ("gzip;q=0", None), ("br", None)]
    {
        let reply = get("accept-encoding", value).send(&app.router).await;
        assert_eq!(reply.header("content-encoding"), coding, "{value}");
        assert_eq!(reply.json(), second.json(), "{value}");
    }
}

#[tokio::test(start_paused = true)]
async fn list_is_of_one_product() {
    let app = TestApp::new().await;
    let license = app.issue("offline").await;
    app.lease(json!({ "key": license.key, "fingerprint": "a" })).await;
    app.delete(&license.path).await;
    let list = |product: &str| Call::new("GET", &format!("/api/v1/revocations{product}"));
    let revoked = |reply: &Reply| {
        let claims = claims(reply.json()["revocations"].as_str().unwrap());
        (claims["aud"].clone(), claims["revoked"].as_array().unwrap().len())
    };
    let of_default = list("?product=default").send(&app.router).await;
    let of_editor = list("?product=editor").send(&app.router).await;
    assert_eq!(revoked(&of_default), (json!("default"), 1));
    assert_eq!(revoked(&of_editor), (json!("editor"), 0), "the other product has none");
    let unknown = list("?product=painter").send(&app.router).await;
    assert_eq!(unknown.fault(), (404, "PRODUCT_NOT_FOUND".to_owned(), None));
    assert_eq!(list("?plan=pro").send(&app.router).await.fault().2.as_deref(), Some("plan"));
}

#[tokio::test(start_paused = true)]
async fn older_list_is_sent_while_the_store_is_down() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    store.set(Fault::Unavailable);
    assert_eq!(revocations(&app).await.fault(), (503, "STORE_UNAVAILABLE".to_owned(), None));
    store.set(None);
    let list = revocations(&app).await.json();
    store.set(Fault::Unavailable);
    wait(&app).await;
    assert_eq!(revocations(&app).await.json(), list);
}

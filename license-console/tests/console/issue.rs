//! Issuing licenses.

use license_core::access::Scope;
use license_core::license::{CustomerEmail, ExternalId};
use license_core::store::{LicenseFilter, PageRequest};

use super::app::TestApp;

async fn count(app: &TestApp) -> usize {
    let page = PageRequest { after: None, limit: 100 };
    app.services.licenses.list(&LicenseFilter::default(), &page).await.unwrap().items.len()
}

#[tokio::test]
async fn issued_license_is_shown_with_its_key() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let form = browser.get("/console/issue").await;
    form.assert_shows(200, "starter");
    let once = form.field("once");
    let fields = [
        ("plan", "starter"),
        ("customer_email", "anna@example.com"),
        ("customer_name", "Anna"),
        ("external_id", "order-7"),
        ("count", "1"),
        ("once", once.as_str()),
    ];
    let page = browser.post("/console/issue", &fields).await;
    page.assert_shows(200, "1 license issued");
    let found =
        app.services.licenses.list(&LicenseFilter::default(), &PageRequest::default()).await.unwrap().items;
    let [license] = &found[..] else { panic!("one license") };
    page.assert_shows(200, license.key.reveal());
    let stored = &license.detail.license;
    assert_eq!(stored.customer_email.as_ref().map(CustomerEmail::as_str), Some("anna@example.com"));
    assert_eq!(stored.external_id.as_ref().map(ExternalId::as_str), Some("order-7"));
    // A form that is sent again shows the same license.
    browser.post("/console/issue", &fields).await.assert_shows(200, license.key.reveal());
    assert_eq!(count(&app).await, 1);
}

#[tokio::test]
async fn many_licenses_are_downloaded_as_csv() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let once = browser.get("/console/issue").await.field("once");
    let fields = [("plan", "starter"), ("count", "3"), ("once", &once)];
    let page = browser.post("/console/issue", &fields).await;
    page.assert_shows(200, "3 licenses issued");
    let csv = browser.post("/console/issue", &[&fields[..], &[("format", "csv")]].concat()).await;
    assert_eq!(
        (csv.status, csv.header("content-disposition")),
        (200, "attachment; filename=\"licenses.csv\"")
    );
    assert_eq!(count(&app).await, 3, "the download issues nothing");
    let rows: Vec<_> = csv.body.lines().collect();
    assert_eq!((rows.len(), rows[0]), (4, "id,key"));
    for row in &rows[1..] {
        let (id, key) = row.split_once(',').unwrap();
        assert!(page.body.contains(id) && page.body.contains(key), "{row}");
    }
}

#[tokio::test]
async fn wrong_form_says_what_is_wrong() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let good = [("plan", "starter"), ("customer_email", "a@example.com"), ("count", "1"), ("once", "1")];
    for (name, value, status, why) in [
        ("plan", "", 422, "Plan: choose one"),
        ("plan", "none", 409, "There is no plan"),
        ("customer_email", "anna", 422, "E-mail: "),
        ("count", "0", 422, "must be a whole number from 1 to 1000"),
        ("count", "1001", 422, "must be a whole number from 1 to 1000"),
        ("count", "x", 422, "Number of licenses"),
        ("once", "", 422, "hidden field"),
        ("once", "ü", 422, "hidden field"),
    ] {
        let fields = good.map(|(known, old)| if known == name { (known, value) } else { (known, old) });
        let reply = browser.post("/console/issue", &fields).await;
        reply.assert_shows(status, why);
    }
    assert_eq!(count(&app).await, 0);
    let huge = "x".repeat(65 * 1024);
    assert_eq!(browser.post("/console/issue", &[("plan", &huge)]).await.status, 413);
}

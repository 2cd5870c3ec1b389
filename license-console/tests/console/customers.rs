//! Customers: list, page and erasure.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use license_console::ConsoleOptions;
use license_core::access::{Scope, Scopes};
use license_core::license::CustomerEmail;
use license_core::{LicenseSpec, limits};

use super::app::{TestApp, local};

async fn issue(app: &TestApp, email: &str) -> String {
    let spec = LicenseSpec::new("starter", email.parse().unwrap());
    app.services.licenses.issue(&spec, None).await.unwrap().detail.license.id.to_string()
}

#[tokio::test]
async fn customer_is_found_without_its_address_in_a_url() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::LicensesRead).await;
    browser.get("/console/customers").await.assert_shows(200, "No license has a customer yet.");
    let (first, newest) = (issue(&app, "anna@example.com").await, issue(&app, "anna@example.com").await);
    let other = issue(&app, "bert@example.com").await;
    let list = browser.get("/console/customers").await;
    list.assert_shows(200, "anna@example.com");
    list.assert_shows(200, "bert@example.com");
    let found = browser.post("/console/customers", &[("prefix", "ann")]).await;
    found.assert_shows(200, "anna@example.com");
    assert!(!found.body.contains("bert@example.com"));
    let none = browser.post("/console/customers", &[("prefix", "zoe")]).await;
    none.assert_shows(200, "No customer has such an address.");
    let opened = browser.post("/console/customers/open", &[("email", "anna@example.com")]).await;
    opened.assert_redirects(&format!("/console/licenses/{newest}/customer"));
    let page = browser.get(opened.header("location")).await;
    assert!(page.body.contains(&first) && page.body.contains(&newest) && !page.body.contains(&other));
    assert!(!page.body.contains("/erase"), "it needs another scope");
    browser.get(&format!("/console/licenses/{first}/customer")).await.assert_shows(200, &newest);
    for (email, status, why) in [
        ("", 422, "E-mail: type the address"),
        ("anna", 422, "E-mail: "),
        ("zoe@example.com", 404, "There is no such customer"),
    ] {
        browser.post("/console/customers/open", &[("email", email)]).await.assert_shows(status, why);
    }
}

#[tokio::test]
async fn pages_of_customers_have_each_one_once() {
    let app = TestApp::new().await;
    for number in 0..60 {
        issue(&app, &format!("c{number:02}@example.com")).await;
    }
    let mut browser = app.signed_in(Scope::LicensesRead).await;
    let first = browser.get("/console/customers").await;
    let second = browser.post("/console/customers", &[("after", &first.field("after"))]).await;
    let count = |body: &str| body.matches("name=\"email\"").count();
    assert_eq!((count(&first.body), count(&second.body)), (50, 10));
    assert!(second.body.contains("c50@example.com") && !second.body.contains("c49@example.com"));
    assert!(!second.body.contains("name=\"after\""));
}

#[tokio::test]
async fn erasure_needs_the_typed_word() {
    let app = TestApp::new().await;
    let id = issue(&app, "anna@example.com").await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let target = format!("/console/licenses/{id}/customer/erase");
    browser.get(&target).await.assert_shows(200, "anna@example.com");
    browser.post(&target, &[("confirmation", "yes")]).await.assert_shows(422, "type the word erase");
    let email = async || {
        let license = app.services.licenses.get(&id.parse().unwrap()).await.unwrap().detail.license;
        license.customer_email.as_ref().map(CustomerEmail::to_string).unwrap()
    };
    assert_eq!(email().await, "anna@example.com");
    let reply = browser.post(&target, &[("confirmation", "erase")]).await;
    reply.assert_redirects(&format!("/console/licenses/{id}?done=erase"));
    assert_ne!(email().await, "anna@example.com");
    browser.get(reply.header("location")).await.assert_shows(200, "The customer is erased.");
    let page = browser.get(&format!("/console/licenses/{id}/customer")).await;
    page.assert_shows(200, "This customer is erased.");
    let audit = browser.get("/console/audit").await;
    assert!(!audit.body.contains("anna@example.com") && !page.body.contains("anna@example.com"));
    let unnamed = LicenseSpec::without_customer("starter");
    let unnamed = app.services.licenses.issue(&unnamed, None).await.unwrap().detail.license.id.clone();
    let page = browser.get(&format!("/console/licenses/{unnamed}/customer")).await;
    page.assert_shows(404, "There is no such customer");
}

/// More licenses than one page has. No address is in a URL.
#[tokio::test]
async fn all_licenses_of_a_customer_are_on_its_pages() {
    let app = TestApp::new().await;
    let mut ids = Vec::new();
    for _ in 0..=limits::PAGE_ITEMS {
        ids.push(issue(&app, "anna@example.com").await);
        app.advance(1);
    }
    let mut browser = app.signed_in(Scope::LicensesRead).await;
    let first = browser.get(&format!("/console/licenses/{}/customer", ids[0])).await;
    let (_, next) = first.body.split_once("rel=\"next\" href=\"").unwrap();
    let next = next.split_once('"').unwrap().0;
    assert!(!next.contains("example.com"), "{next}");
    let second = browser.get(next).await;
    let shows = |page: &str, id: &str| page.contains(&format!("/console/licenses/{id}\""));
    for (number, id) in ids.iter().enumerate() {
        let is_oldest = number == 0;
        assert_eq!((shows(&first.body, id), shows(&second.body, id)), (!is_oldest, is_oldest), "{number}");
    }
    second.assert_shows(200, "First page");
    assert!(!second.body.contains("Next page"));
    let wrong = format!("/console/licenses/{}/customer?after=x", ids[0]);
    browser.get(&wrong).await.assert_shows(422, "Page: ");
}

#[tokio::test]
async fn export_of_a_customer_needs_both_scopes_and_an_exporter() {
    let export = |email: CustomerEmail| async move { email.as_str().to_owned().into_response() };
    let app = TestApp::with(local(ConsoleOptions::new()).customer_export(export)).await;
    let id = issue(&app, "anna@example.com").await;
    let page = format!("/console/licenses/{id}/customer");
    let both: Scopes = [Scope::LicensesRead, Scope::UsageRead].into_iter().collect();
    let mut browser = app.signed_in(both).await;
    browser.get(&page).await.assert_shows(200, &format!("href=\"{page}/export\""));
    let file = browser.get(&format!("{page}/export")).await;
    assert_eq!((file.status, file.body.as_str()), (200, "anna@example.com"));
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"customer.json\"");
    let mut reader = app.signed_in(Scope::LicensesRead).await;
    assert!(!reader.get(&page).await.body.contains("/export"));
    let without = TestApp::new().await;
    let id = issue(&without, "anna@example.com").await;
    let mut browser = without.signed_in(Scope::Admin).await;
    let page = format!("/console/licenses/{id}/customer");
    assert!(!browser.get(&page).await.body.contains("/export"));
    assert_eq!(browser.get(&format!("{page}/export")).await.status, 404);
}

#[tokio::test]
async fn failed_export_keeps_its_status() {
    for (status, title) in [
        (StatusCode::SERVICE_UNAVAILABLE, "The database does not answer"),
        (StatusCode::NOT_FOUND, "The data of the customer was not exported"),
        (StatusCode::INTERNAL_SERVER_ERROR, "The data of the customer was not exported"),
    ] {
        let export = move |_: CustomerEmail| async move { status.into_response() };
        let app = TestApp::with(local(ConsoleOptions::new()).customer_export(export)).await;
        let id = issue(&app, "anna@example.com").await;
        let mut browser = app.signed_in(Scope::Admin).await;
        let page = browser.get(&format!("/console/licenses/{id}/customer/export")).await;
        page.assert_shows(status.as_u16(), title);
        assert_eq!(page.header("content-disposition"), "");
    }
}

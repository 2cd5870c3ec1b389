//! The overview, the list of licenses and the search.

use license_core::LicenseSpec;
use license_core::access::Scope;
use license_core::service::ValidateRequest;

use super::app::{EMAIL, TestApp};

#[tokio::test]
async fn overview_of_an_empty_database_shows_the_first_steps() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let page = browser.get("/console").await;
    page.assert_shows(200, "Three steps to the first license");
    let list = browser.get("/console/licenses").await;
    list.assert_shows(200, "There is no license yet.");
    let list = browser.get("/console/licenses?status=suspended").await;
    list.assert_shows(200, "No license matches these filters.");
}

#[tokio::test]
async fn overview_counts_licenses_and_links_to_them() {
    let app = TestApp::new().await;
    let (full, suspended) = (app.issue().await, app.issue().await.detail.license.id.clone());
    app.services.licenses.suspend(&suspended).await.unwrap();
    let request =
        ValidateRequest { domain: Some("example.com"), key: full.key.reveal(), ..ValidateRequest::default() };
    assert!(app.services.validation.validate(&request).await.unwrap().is_valid());
    let mut browser = app.signed_in(Scope::Admin).await;
    let page = browser.get("/console").await;
    for (label, count) in [("Active", 1), ("Suspended", 1), ("At their limit", 1), ("End within 7 days", 0)] {
        let shown = format!("<span class=\"value\">{count}</span><span class=\"label\">{label}</span>");
        page.assert_shows(200, &shown);
    }
    page.assert_shows(200, "1 valid");
    page.assert_shows(200, "Slot taken");
    let links: Vec<_> = page
        .body
        .split("class=\"card stat\" href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(links.len(), 6);
    for link in links {
        let list = browser.get(&link.replace("&#38;", "&")).await;
        assert_eq!(list.status, 200, "{link}: {}", list.body);
    }
    let list = browser.get("/console/licenses?at_limit=yes").await;
    assert!(
        list.body.contains(&full.detail.license.id.to_string())
            && !list.body.contains(&suspended.to_string())
    );
}

#[tokio::test]
async fn pages_of_a_list_have_each_license_once() {
    let app = TestApp::new().await;
    for _ in 0..60 {
        app.issue().await;
    }
    let mut browser = app.signed_in(Scope::LicensesRead).await;
    let (mut target, mut seen) = ("/console/licenses?sort=expires_at".to_owned(), Vec::new());
    loop {
        let page = browser.get(&target).await;
        page.assert_shows(200, "60 licenses");
        let ids = page
            .body
            .split("<span class=\"mono\">")
            .skip(1)
            .map(|rest| rest.split('<').next().unwrap().to_owned());
        seen.extend(ids);
        let Some((_, next)) = page.body.split_once("rel=\"next\" href=\"") else { break };
        target = next.split('"').next().unwrap().replace("&#38;", "&");
    }
    assert_eq!(seen.len(), 60);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 60);
    let foreign = browser.get("/console/licenses?cursor=1").await;
    foreign.assert_shows(422, "Start again on the first page");
}

/// Every spelling of what names one license leads to it, and none of them is in a URL.
#[tokio::test]
async fn search_leads_to_the_license() {
    let app = TestApp::new().await;
    let spec = LicenseSpec {
        external_id: "order-7".parse().ok(),
        ..LicenseSpec::new("starter", EMAIL.parse().unwrap())
    };
    let license = app.services.licenses.issue(&spec, None).await.unwrap();
    app.services
        .licenses
        .issue(&LicenseSpec::new("starter", "b@example.com".parse().unwrap()), None)
        .await
        .unwrap();
    let (id, key) = (license.detail.license.id.to_string(), license.key.reveal().to_owned());
    let request = ValidateRequest {
        domain: Some("shop.example.net"),
        fingerprint: Some("device-77"),
        key: &key,
        ..ValidateRequest::default()
    };
    assert!(app.services.validation.validate(&request).await.unwrap().is_valid());
    let last = key.chars().last().unwrap();
    let mistyped = format!("{}{}", &key[..key.len() - 1], if last == '2' { '3' } else { '2' });
    let mut browser = app.signed_in(Scope::LicensesRead).await;
    let spaced = format!("  {} ", key.to_lowercase());
    for typed in
        [&key, &spaced, &mistyped, &id, "order-7", "DEV@example.com", "www.shop.example.net", "device-77"]
    {
        let reply = browser.post("/console/search", &[("q", typed)]).await;
        reply.assert_redirects(&format!("/console/licenses/{id}"));
    }
    for typed in ["", "nothing", "nobody@example.com", "lic_0", "a\0b"] {
        browser.post("/console/search", &[("q", typed)]).await.assert_shows(200, "Nothing was found");
    }
    app.issue().await;
    let several = browser.post("/console/search", &[("q", EMAIL)]).await;
    several.assert_shows(200, &id);
    assert_eq!(several.body.matches("<tr>\n<td>").count(), 2, "{}", several.body);
    assert_eq!(browser.get("/console/search").await.status, 405);
}

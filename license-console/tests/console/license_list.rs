//! Headers, presets and the download of the list of licenses.

use license_core::LicenseSpec;
use license_core::access::Scope;
use license_core::catalog::Plan;
use license_core::license::CustomerName;
use license_core::service::ValidateRequest;

use super::app::{EMAIL, TestApp};

/// Returns the header cell with this label.
fn header<'a>(body: &'a str, label: &str) -> &'a str {
    let heads = body.split("<thead>").nth(1).unwrap().split("</thead>").next().unwrap();
    heads.split("<th ").find(|cell| cell.contains(&format!(">{label}<"))).unwrap()
}

#[tokio::test]
async fn headers_sort_by_what_the_store_can_page() {
    let app = TestApp::new().await;
    app.issue().await;
    let mut browser = app.signed_in(Scope::LicensesRead).await;
    for (query, label, link, order) in [
        ("", "Issued", Some("/console/licenses?sort=created_at"), Some("descending")),
        ("", "Ends", Some("/console/licenses?sort=expires_at"), None),
        ("sort=created_at", "Issued", Some("/console/licenses?sort=-created_at"), Some("ascending")),
        ("sort=expires_at", "Ends", Some("/console/licenses?sort=-expires_at"), Some("ascending")),
        ("sort=expires_at", "Issued", Some("/console/licenses?sort=-created_at"), None),
        ("sort=-expires_at", "Ends", Some("/console/licenses?sort=expires_at"), Some("descending")),
        ("status=active", "Ends", Some("/console/licenses?status=active&#38;sort=expires_at"), None),
        ("never_activated=yes", "Issued", None, Some("descending")),
        ("never_activated=yes", "Ends", None, None),
        ("", "Devices", None, None),
    ] {
        let page = browser.get(&format!("/console/licenses?{query}")).await;
        assert_eq!(page.status, 200, "{query}: {}", page.body);
        let cell = header(&page.body, label);
        let expected = link.map(|link| format!("<a href=\"{link}\">{label}</a>"));
        assert_eq!(expected.is_some(), cell.contains("<a "), "{query}: {cell}");
        assert!(cell.contains(&expected.unwrap_or_default()), "{query}: {cell}");
        let sorted = order.map(|order| format!("aria-sort=\"{order}\""));
        assert_eq!(sorted.is_some(), cell.contains("aria-sort"), "{query}: {cell}");
        assert!(cell.contains(&sorted.unwrap_or_default()), "{query}: {cell}");
    }
}

/// The download has each license that matches, more than a page, and no key.
#[tokio::test]
async fn download_has_every_license_of_the_filter() {
    let app = TestApp::new().await;
    let mut expected = Vec::new();
    for _ in 0..450 {
        expected.push(app.issue().await.detail.license.id.to_string());
    }
    // Licenses of one moment are listed by their ids.
    expected.sort();
    let spec = LicenseSpec {
        customer_name: CustomerName::parse("=HYPERLINK(\"evil\"), \"Ltd\"").ok(),
        ..LicenseSpec::new("starter", EMAIL.parse().unwrap())
    };
    let suspended = app.services.licenses.issue(&spec, None).await.unwrap();
    app.services.licenses.suspend(&suspended.detail.license.id).await.unwrap();
    let mut browser = app.signed_in(Scope::LicensesRead).await;
    browser.get("/console/licenses?status=active").await.assert_shows(200, "/licenses.csv?status=active\"");
    let csv = browser.get("/console/licenses.csv?status=active&sort=created_at").await;
    assert_eq!((csv.status, csv.header("content-type")), (200, "text/csv; charset=utf-8"));
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"licenses.csv\"");
    let mut lines = csv.body.split_terminator("\r\n");
    let head = lines.next().unwrap();
    assert!(head.starts_with("id,status,product,plan,customer_email,") && !head.contains("key"), "{head}");
    let ids: Vec<_> = lines.map(|line| line.split(',').next().unwrap().to_owned()).collect();
    assert_eq!(ids, expected);
    let csv = browser.get("/console/licenses.csv?status=suspended").await.body;
    assert!(csv.contains("\"'=HYPERLINK(\"\"evil\"\"), \"\"Ltd\"\"\""), "{csv}");
    assert!(!csv.contains(suspended.key.reveal()), "{csv}");
    browser.get("/console/licenses.csv?status=odd").await.assert_shows(422, "Status");
}

/// Each preset finds what it says, and nothing else.
#[tokio::test]
async fn presets_find_what_they_say() {
    let app = TestApp::new().await;
    let watched = Plan::new("watched").max_devices(9).max_devices_per_day(Some(2));
    app.services.catalog.create_plan(&watched).await.unwrap();
    app.services.events.write_anomaly_events(app.services.now(), 10).await.unwrap();
    let issue = async |plan: &str, days: Option<i64>| {
        let expires_at = days.map(|days| {
            license_core::license::Expiry::At(app.services.now() + chrono::TimeDelta::days(days))
        });
        let spec = LicenseSpec { expires_at, ..LicenseSpec::new(plan, EMAIL.parse().unwrap()) };
        app.services.licenses.issue(&spec, None).await.unwrap()
    };
    let validate = async |license: &license_core::service::KeyedLicense, device: &str| {
        let key = license.key.reveal();
        let request = ValidateRequest { fingerprint: Some(device), key, ..ValidateRequest::default() };
        assert!(app.services.validation.validate(&request).await.unwrap().is_valid());
    };
    let past = issue("starter", Some(1)).await;
    let expired = issue("watched", Some(37)).await;
    let dormant = issue("watched", Some(400)).await;
    validate(&dormant, "a").await;
    validate(&past, "a").await;
    app.advance(60 * 24 * 40);
    let used = async |days| {
        let license = issue("watched", Some(days)).await;
        validate(&license, "a").await;
        license
    };
    let (week, month, later) = (used(5).await, used(25).await, used(60).await);
    let unused = issue("watched", Some(90)).await;
    let full = issue("starter", Some(90)).await;
    let request =
        ValidateRequest { domain: Some("example.com"), key: full.key.reveal(), ..ValidateRequest::default() };
    assert!(app.services.validation.validate(&request).await.unwrap().is_valid());
    let unusual = used(90).await;
    for device in ["b", "c"] {
        validate(&unusual, device).await;
    }
    while app.services.events.write_anomaly_events(app.services.now(), 10).await.unwrap() > 0 {}
    let mut browser = app.signed_in(Scope::LicensesRead).await;
    let list = browser.get("/console/licenses").await.body;
    let chips = list.split("aria-label=\"Presets\"").nth(1).unwrap().split("</nav>").next().unwrap();
    let links: Vec<_> = chips
        .split("href=\"")
        .skip(1)
        .map(|rest| (rest.split('"').next().unwrap().replace("&#38;", "&"), rest))
        .collect();
    let all = [&past, &dormant, &week, &month, &later, &expired, &unused, &full, &unusual];
    for (label, expected) in [
        ("All", &all[..]),
        ("End this week", &[&week]),
        ("End this month", &[&week, &month]),
        ("Expired lately", &[&expired]),
        ("Never activated", &[&expired, &unused]),
        ("Dormant for 30 days", &[&dormant]),
        ("At the limit", &[&full]),
        ("Unusual usage", &[&unusual]),
    ] {
        let (url, _) = links.iter().find(|(_, rest)| rest.contains(&format!(">{label}<"))).unwrap();
        let page = browser.get(url).await;
        page.assert_shows(200, &format!("aria-current=\"true\">{label}"));
        for license in all {
            let id = &license.detail.license.id;
            let is_listed = page.body.contains(&format!("<span class=\"mono\">{id}</span>"));
            let is_expected = expected.iter().any(|one| one.detail.license.id == *id);
            assert_eq!(is_listed, is_expected, "{label}: {id} {}", page.body);
        }
    }
}

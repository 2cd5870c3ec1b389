//! Usage of all licenses.

use license_core::access::{Scope, Scopes};
use license_core::clock::Clock as _;
use license_core::service::ValidateRequest;
use license_core::usage::UsageRetention;

use super::app::TestApp;

#[tokio::test]
async fn usage_is_counted_by_day_and_value() {
    let app = TestApp::new().await;
    let license = app.issue().await;
    let (id, key) = (license.detail.license.id.to_string(), license.key.reveal().to_owned());
    for domain in ["shop.example.com", "shop.example.com", "other.example.com"] {
        let request = ValidateRequest { domain: Some(domain), key: &key, ..ValidateRequest::default() };
        app.services.validation.validate(&request).await.unwrap();
    }
    let mut browser = app.signed_in(Scope::UsageRead).await;
    let page = browser.get("/console/usage").await;
    for text in ["2 valid", "1 denied", "<span class=\"value\">1</span><span class=\"label\">Licenses in use"]
    {
        page.assert_shows(200, text);
    }
    page.assert_shows(200, &format!("<td class=\"mono\">{id}</td>"));
    for (by, shown) in [
        ("domain", "shop.example.com</bdi></td><td class=\"num\">2<"),
        ("outcome", "DOMAIN_LIMIT_REACHED</bdi></td><td class=\"num\">1<"),
        ("country", "unknown</bdi></td><td class=\"num\">3<"),
        ("device", "By device"),
    ] {
        browser.get(&format!("/console/usage?by={by}&days=7")).await.assert_shows(200, shown);
    }
    let csv = browser.get("/console/usage.csv?days=7").await;
    assert_eq!((csv.status, csv.header("content-disposition")), (200, "attachment; filename=\"usage.csv\""));
    let rows: Vec<_> = csv.body.lines().collect();
    assert_eq!((rows.len(), rows[0]), (8, "day,valid,denied"), "{rows:?}");
    assert_eq!((rows[1], rows[7]), ("2026-02-28,0,0", "2026-03-06,2,1"));
    for query in ["days=8", "days=x", "by=key"] {
        browser.get(&format!("/console/usage?{query}")).await.assert_shows(422, "must be");
    }
    let both: Scopes = [Scope::UsageRead, Scope::LicensesRead].into_iter().collect();
    let page = app.signed_in(both).await.get("/console/usage").await;
    page.assert_shows(200, &format!("href=\"/console/licenses/{id}\""));
}

/// Single validations are deleted after 30 days, and an import has none.
#[tokio::test]
async fn charts_are_shown_without_single_validations() {
    let app = TestApp::new().await;
    let license = app.issue().await;
    let key = license.key.reveal().to_owned();
    let request =
        ValidateRequest { domain: Some("shop.example.com"), key: &key, ..ValidateRequest::default() };
    app.services.validation.validate(&request).await.unwrap();
    app.advance(2 * 24 * 60);
    let retention = UsageRetention { record_days: 0, rollup_days: 730 };
    while app.services.usage.prune(&retention, app.clock.now(), 100).await.unwrap() > 0 {}
    let both: Scopes = [Scope::UsageRead, Scope::LicensesRead].into_iter().collect();
    let mut browser = app.signed_in(both).await;
    let license = format!("/licenses/{}", license.detail.license.id);
    for path in ["", &*license, "/usage", "/usage?days=365", "/usage?days=90&by=domain"] {
        browser.get(&format!("/console{path}")).await.assert_shows(200, "1 valid");
    }
}

#[tokio::test]
async fn chart_names_its_days_and_fills_its_width() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::UsageRead).await;
    for (days, last) in [(7, 617), (30, 696), (90, 712), (365, 718)] {
        let page = browser.get(&format!("/console/usage?days={days}")).await;
        page.assert_shows(200, &format!("0 valid and 0 denied in {days} days, at most 0 a day."));
        let bars = page.body.split("<rect class=\"bar\" x=\"").skip(1);
        let starts: Vec<u32> = bars.map(|rest| rest.split_once('"').unwrap().0.parse().unwrap()).collect();
        assert_eq!((starts.len(), starts[0], starts.last()), (days, 0, Some(&last)));
    }
}

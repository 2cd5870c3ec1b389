//! Unusual usage: the page and the number on the overview.

use license_core::LicenseSpec;
use license_core::access::Scope;
use license_core::catalog::Plan;
use license_core::service::{KeyedLicense, ValidateRequest};

use super::app::{EMAIL, TestApp};

async fn watched(count: usize) -> (TestApp, Vec<KeyedLicense>) {
    let app = TestApp::new().await;
    let plan = Plan::new("watched").max_devices(9).max_devices_per_day(Some(1));
    app.services.catalog.create_plan(&plan).await.unwrap();
    app.services.events.write_anomaly_events(app.services.now(), 10).await.unwrap();
    let mut licenses = Vec::new();
    for _ in 0..count {
        let spec = LicenseSpec::new("watched", EMAIL.parse().unwrap());
        licenses.push(app.services.licenses.issue(&spec, None).await.unwrap());
    }
    (app, licenses)
}

/// Each license has more devices on this day than its plan expects.
async fn use_by_many(app: &TestApp, licenses: &[KeyedLicense]) {
    for license in licenses {
        for device in ["a", "b"] {
            let key = license.key.reveal();
            let request = ValidateRequest { fingerprint: Some(device), key, ..ValidateRequest::default() };
            assert!(app.services.validation.validate(&request).await.unwrap().is_valid());
        }
    }
    while app.services.events.write_anomaly_events(app.services.now(), 100).await.unwrap() > 0 {}
}

#[tokio::test]
async fn overview_has_the_number_of_licenses_with_unusual_usage() {
    let (app, licenses) = watched(3).await;
    let shows = async |number: u32| {
        let link = format!(
            "href=\"/console/licenses/unusual\"><span class=\"value\">{number}</span><span class=\"label\">Unusual \
             usage in 30 days<"
        );
        app.signed_in(Scope::LicensesRead).await.get("/console").await.assert_shows(200, &link);
    };
    shows(0).await;
    use_by_many(&app, &licenses[..2]).await;
    app.advance(24 * 60);
    use_by_many(&app, &licenses[..1]).await;
    shows(2).await;
    app.advance(24 * 60 * 40);
    shows(0).await;
}

/// Events of the day before are on the second page. Those of licenses that are on the first page are left out.
#[tokio::test]
async fn license_with_unusual_usage_is_listed_once_on_all_pages() {
    let (app, licenses) = watched(51).await;
    use_by_many(&app, &licenses[..2]).await;
    app.advance(24 * 60);
    use_by_many(&app, &licenses[1..]).await;
    let mut browser = app.signed_in(Scope::LicensesRead).await;
    let (mut target, mut listed) = ("/console/licenses/unusual".to_owned(), Vec::new());
    loop {
        let page = browser.get(&target).await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert!(!page.body.contains("No license had unusual usage"), "{}", page.body);
        let ids = page.body.split("<span class=\"mono\">").skip(1);
        listed.extend(ids.map(|rest| rest.split_once('<').unwrap().0.to_owned()));
        let Some((_, next)) = page.body.split_once("rel=\"next\" href=\"") else { break };
        target = next.split_once('"').unwrap().0.to_owned();
    }
    let mut expected: Vec<_> = licenses.iter().map(|license| license.detail.license.id.to_string()).collect();
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn empty_page_says_so_only_if_it_is_the_only_one() {
    let (app, licenses) = watched(50).await;
    let mut browser = app.signed_in(Scope::LicensesRead).await;
    browser
        .get("/console/licenses/unusual")
        .await
        .assert_shows(200, "No license had unusual usage in the last");
    use_by_many(&app, &licenses[..1]).await;
    app.advance(24 * 60);
    use_by_many(&app, &licenses).await;
    let mut browser = app.signed_in(Scope::LicensesRead).await;
    let page = browser.get("/console/licenses/unusual").await;
    let (_, next) = page.body.split_once("rel=\"next\" href=\"").unwrap();
    let page = browser.get(next.split_once('"').unwrap().0).await;
    page.assert_shows(200, "There are no further licenses.");
    assert!(!page.body.contains("No license had unusual usage"), "{}", page.body);
}

//! Leases for machines without a network.

use license_core::LicenseSpec;
use license_core::access::{AuditFilter, Scope, Scopes};
use license_core::catalog::Plan;
use license_core::service::{KeyedLicense, ValidateRequest};
use license_core::store::PageRequest;
use license_verify::{LicenseFile, Nonce, ReleaseCode, RequestCode};

use super::app::{EMAIL, TestApp};

async fn license(app: &TestApp) -> KeyedLicense {
    app.services.catalog.create_plan(&Plan::new("offline").max_devices(2).offline_days(7)).await.unwrap();
    let spec = LicenseSpec::new("offline", EMAIL.parse().unwrap());
    app.services.licenses.issue(&spec, None).await.unwrap()
}

fn code(key: &str) -> String {
    let nonce = Nonce::from_random(&[7; 16]).unwrap();
    RequestCode::new("default", key, "air-gapped", nonce).unwrap().to_text()
}

/// Returns the text that a browser saves for an address with data.
fn downloaded(page: &str) -> String {
    let (_, address) = page.split_once("href=\"data:text/plain,").unwrap();
    let address = address.split_once('"').unwrap().0;
    assert!(!address.contains('+'), "{address}");
    let form = format!("file={address}");
    form_urlencoded::parse(form.as_bytes()).next().unwrap().1.into_owned()
}

#[tokio::test]
async fn request_code_gets_a_license_file_and_a_qr_code() {
    let app = TestApp::new().await;
    let license = license(&app).await;
    let id = license.detail.license.id.clone();
    let mut browser = app.signed_in(Scope::LeasesWrite).await;
    browser.get("/console/leases").await.assert_shows(200, "Request code");
    let code = code(license.key.reveal());
    let page = browser.post("/console/leases", &[("request", &code), ("days", "3")]).await;
    page.assert_shows(200, "It ends on 9 March 2026, 14:00:00 UTC.");
    page.assert_shows(200, "<path class=\"qr-dark\" d=\"M4 4h7v1h-7z");
    assert!(!page.body.contains(license.key.reveal()) && !page.body.contains(&code));
    assert!(!page.body.contains("/console/licenses/"), "the person may not read licenses");
    let leases = app.services.leases.list(&id, &PageRequest::default()).await.unwrap().items;
    assert_eq!(leases.len(), 1);
    let file = LicenseFile::parse(&downloaded(&page.body)).unwrap();
    let (_, text) = page.body.split_once("readonly>").unwrap();
    assert_eq!(LicenseFile::parse(text.split_once("</textarea>").unwrap().0).unwrap(), file);

    let page = browser.post("/console/leases", &[("request", &code), ("days", "30")]).await;
    page.assert_shows(200, "The plan allows fewer days than you asked for.");
}

#[tokio::test]
async fn page_of_a_license_lists_leases_and_warns_of_outstanding_ones() {
    let app = TestApp::new().await;
    let license = license(&app).await;
    let id = license.detail.license.id.clone();
    let both: Scopes = [Scope::LicensesRead, Scope::LeasesWrite].into_iter().collect();
    let mut browser = app.signed_in(both).await;
    let path = format!("/console/licenses/{id}");
    browser.get(&path).await.assert_shows(200, "There is no lease.");
    let code = code(license.key.reveal());
    let issued = browser.post("/console/leases", &[("request", &code)]).await;
    issued.assert_shows(200, &format!("href=\"{path}\""));
    let lease = app.services.leases.list(&id, &PageRequest::default()).await.unwrap().items.remove(0);
    let page = browser.get(&path).await;
    page.assert_shows(200, lease.id.as_str());
    assert!(!page.body.contains("id=\"outstanding\""), "the license is good");
    app.services.licenses.suspend(&id).await.unwrap();
    let page = browser.get(&path).await;
    page.assert_shows(
        200,
        "Software without a network still accepts a lease, until 13 March 2026, 14:05:00 UTC",
    );
}

#[tokio::test]
async fn wrong_request_code_says_what_is_wrong() {
    let app = TestApp::new().await;
    let license = license(&app).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let good = code(license.key.reveal());
    let unknown = code(app.issue().await.key.reveal());
    for (request, days, status, why) in [
        ("", "", 422, "paste the whole code"),
        ("LREQ1-nothing", "", 422, "the request code cannot be read"),
        (good.as_str(), "0", 422, "Days: must be a whole number"),
        (unknown.as_str(), "", 409, "The license does not allow this"),
    ] {
        let reply = browser.post("/console/leases", &[("request", request), ("days", days)]).await;
        reply.assert_shows(status, why);
    }
    app.services.licenses.rotate_key(&license.detail.license.id, false, None).await.unwrap();
    browser.post("/console/leases", &[("request", &good)]).await.assert_shows(404, "No license has this key");
}

#[tokio::test]
async fn release_code_ends_the_lease() {
    let app = TestApp::new().await;
    let license = license(&app).await;
    let id = license.detail.license.id.clone();
    let mut browser = app.signed_in(Scope::Admin).await;
    let page = browser.post("/console/leases", &[("request", &code(license.key.reveal()))]).await;
    let file = LicenseFile::parse(&downloaded(&page.body)).unwrap();
    let lease = app.services.leases.list(&id, &PageRequest::default()).await.unwrap().items.remove(0);
    let release = ReleaseCode::new(lease.id.as_str(), &file.lease).unwrap().to_text();
    browser.get("/console/leases/release").await.assert_shows(200, "It begins with LREL1-.");
    for (typed, status, why) in [
        ("", 422, "Release code: paste the whole code"),
        ("LREL1-x", 422, "Release code: "),
        (&*code(license.key.reveal()), 422, "Release code: "),
    ] {
        browser.post("/console/leases/release", &[("code", typed)]).await.assert_shows(status, why);
    }
    let page = browser.post("/console/leases/release", &[("code", &release)]).await;
    page.assert_shows(200, "The leases of this device have ended");
    page.assert_shows(200, &format!("/console/licenses/{id}\""));
    page.assert_shows(200, "Its slot is free on 13 March 2026");
    let leases = app.services.leases.list(&id, &PageRequest::default()).await.unwrap().items;
    assert!(leases[0].ended.is_some());
    let filter = AuditFilter { license_id: Some(id), ..AuditFilter::default() };
    let entries = app.services.access.audit(&filter, &PageRequest::default()).await.unwrap().items;
    assert_eq!(entries[0].entry.actor.principal.name(), Some("Ada"));
}

/// The customer is shown to people who may read licenses only.
#[tokio::test]
async fn release_code_does_not_tell_the_customer() {
    let app = TestApp::new().await;
    let license = license(&app).await;
    let id = license.detail.license.id.clone();
    let release = async |scopes: Scopes| {
        let mut browser = app.signed_in(scopes).await;
        let page = browser.post("/console/leases", &[("request", &code(license.key.reveal()))]).await;
        let file = LicenseFile::parse(&downloaded(&page.body)).unwrap();
        let leases = app.services.leases.list(&id, &PageRequest::default()).await.unwrap().items;
        let lease = leases.iter().find(|lease| lease.ended.is_none()).unwrap();
        let release = ReleaseCode::new(lease.id.as_str(), &file.lease).unwrap().to_text();
        let page = browser.post("/console/leases/release", &[("code", &release)]).await;
        page.assert_shows(200, "The leases of this device have ended");
        page
    };
    let page = release(Scope::LeasesWrite.into()).await;
    assert!(!page.body.contains(EMAIL) && !page.body.contains(id.as_str()), "{}", page.body);
    let page = release([Scope::LeasesWrite, Scope::LicensesRead].into_iter().collect()).await;
    page.assert_shows(200, EMAIL);
}

#[tokio::test]
async fn slot_of_a_lease_says_until_when_it_is_leased() {
    let app = TestApp::new().await;
    let license = license(&app).await;
    let key = license.key.reveal();
    let request = ValidateRequest { fingerprint: Some("online"), key, ..ValidateRequest::default() };
    assert!(app.services.validation.validate(&request).await.unwrap().is_valid());
    let mut browser = app.signed_in(Scope::Admin).await;
    let path = format!("/console/licenses/{}", license.detail.license.id);
    let page = browser.get(&path).await;
    assert!(!page.body.contains("leased until"), "{}", page.body);
    browser.post("/console/leases", &[("request", &code(key))]).await.assert_shows(200, "It ends on");
    let page = browser.get(&path).await;
    page.assert_shows(200, "since 6 March 2026 · leased until 13 March 2026</span>");
    assert_eq!(page.body.matches("leased until").count(), 1, "of the device online: {}", page.body);
    app.advance(8 * 24 * 60);
    let page = app.signed_in(Scope::Admin).await.get(&path).await;
    page.assert_shows(200, "since 6 March 2026</span>");
    assert!(!page.body.contains("leased until"), "{}", page.body);
}

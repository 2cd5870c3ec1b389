//! The time zone of a browser.

use license_core::access::Scope;

use super::app::{NOW, TestApp};

#[tokio::test]
async fn times_and_days_are_in_the_chosen_zone() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let license = format!("/console/licenses/{id}");
    let mut browser = app.signed_in(Scope::Admin).await;
    let page = browser.get(&license).await;
    page.assert_shows(200, "title=\"6 March 2026, 14:00:00 UTC\"");
    page.assert_shows(200, "Time zone: UTC");
    let zone = "/console/time-zone";
    browser.post(zone, &[("zone", "asia/kolkata")]).await.assert_redirects("/console/time-zone?done=zone");
    browser.get(zone).await.assert_shows(200, "It is 6 March 2026, 19:30:00 IST.");
    let page = browser.get(&license).await;
    page.assert_shows(200, "title=\"6 March 2026, 19:30:00 IST\"");
    page.assert_shows(200, &format!("datetime=\"{NOW}\""));

    // Midnight in India is 18:30 UTC of the day before.
    let edit = format!("{license}/edit");
    let version = browser.get(&edit).await.field("version");
    let fields = [("version", &*version), ("plan", "starter"), ("expires", "2026-07-01")];
    let kept = [("max_domains", "1"), ("customer_email", super::app::EMAIL)];
    let reply = browser.post(&edit, &[&fields[..], &kept].concat()).await;
    reply.assert_redirects(&format!("{license}?done=edit"));
    let expires = app.services.licenses.get(&id).await.unwrap().detail.license.expires_at;
    assert_eq!(expires, Some("2026-06-30T18:30:00Z".parse().unwrap()));
    browser.get(&edit).await.assert_shows(200, "value=\"2026-07-01\"");

    browser.post(zone, &[("zone", "Mars/Olympus")]).await.assert_shows(422, "There is no such time zone.");
    browser.get(&license).await.assert_shows(200, "IST");
    browser.post(zone, &[("zone", "")]).await.assert_redirects("/console/time-zone?done=zone");
    browser.get(&edit).await.assert_shows(200, "value=\"2026-06-30\"");
    let mut other = app.signed_in(Scope::Admin).await;
    other.cookies.push(("license_console_zone".to_owned(), "Mars/Olympus".to_owned(), "/console".to_owned()));
    other.get(&license).await.assert_shows(200, "Time zone: UTC");
}

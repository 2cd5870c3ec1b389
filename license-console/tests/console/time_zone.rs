//! The time zone of a browser.

use chrono::{DateTime, Utc};
use license_core::access::Scope;
use license_core::command::{Command, LicensePatch};
use license_core::license::{CustomerName, Expiry};

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
    let form = browser.get(&edit).await;
    let (version, shown) = (form.field("version"), form.field("shown_expires"));
    let hidden = [("version", &*version), ("shown_expires", &*shown)];
    let fields = [&hidden[..], &[("plan", "starter"), ("expires", "2026-07-01")]].concat();
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

/// Another tab changes the zone while the form is open.
#[tokio::test]
async fn end_stays_if_the_zone_changes_before_the_form_is_sent() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let end: DateTime<Utc> = "2026-06-30T18:30:00Z".parse().unwrap();
    let patch = LicensePatch { expires_at: Some(Expiry::At(end)), ..LicensePatch::default() };
    app.services.licenses.execute(&id, &Command::Change(patch), None).await.unwrap();
    let mut browser = app.signed_in(Scope::Admin).await;
    let edit = format!("/console/licenses/{id}/edit");
    let form = browser.get(&edit).await;
    let (version, shown) = (form.field("version"), form.field("shown_expires"));
    assert_eq!(shown, "2026-06-30");
    browser.post("/console/time-zone", &[("zone", "Asia/Kolkata")]).await;
    let fields = [
        ("version", &*version),
        ("shown_expires", &*shown),
        ("plan", "starter"),
        ("max_domains", "1"),
        ("customer_email", super::app::EMAIL),
        ("customer_name", "Anna"),
        ("expires", "2026-06-30"),
    ];
    browser.post(&edit, &fields).await.assert_redirects(&format!("/console/licenses/{id}?done=edit"));
    let license = app.services.licenses.get(&id).await.unwrap().detail.license;
    assert_eq!(license.customer_name.as_ref().map(CustomerName::as_str), Some("Anna"));
    assert_eq!(license.expires_at, Some(end));
    let without: Vec<_> = fields.iter().copied().filter(|(name, _)| *name != "shown_expires").collect();
    browser.post(&edit, &without).await.assert_shows(422, "hidden field");
}

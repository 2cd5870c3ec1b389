//! One license and the actions on it.

use license_core::access::{AuditFilter, Scope};
use license_core::license::{ActivationKind, LicenseState};
use license_core::service::ValidateRequest;
use license_core::store::PageRequest;

use super::app::TestApp;

#[tokio::test]
async fn actions_change_the_license_and_name_the_person() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let mut browser = app.signed_in(Scope::Admin).await;
    let page = format!("/console/licenses/{id}");
    for (action, fields, state, notice) in [
        ("suspend", vec![("reason", "payment failed")], LicenseState::Suspended, "The license is suspended."),
        ("reinstate", vec![], LicenseState::Active, "The license is reinstated."),
        (
            "revoke",
            vec![("confirmation", "revoke"), ("reason", "")],
            LicenseState::Revoked,
            "The license is revoked.",
        ),
    ] {
        let form = browser.get(&format!("{page}/{action}")).await;
        form.assert_shows(200, EMAIL_IN_PAGE);
        let reply = browser.post(&format!("{page}/{action}"), &fields).await;
        reply.assert_redirects(&format!("{page}?done={action}"));
        browser.get(reply.header("location")).await.assert_shows(200, notice);
        let license = app.services.licenses.get(&id).await.unwrap().detail.license;
        assert_eq!(license.state, state);
        if action == "suspend" {
            assert_eq!(
                license.state_reason.as_ref().map(ToString::to_string).as_deref(),
                Some("payment failed")
            );
            browser.get(&page).await.assert_shows(200, "payment failed");
        }
    }
    let filter = AuditFilter { license_id: Some(id), ..AuditFilter::default() };
    let entries = app.services.access.audit(&filter, &PageRequest::default()).await.unwrap().items;
    let names: Vec<_> = entries
        .iter()
        .map(|audited| (audited.entry.action.as_str(), audited.entry.actor.principal.name()))
        .collect();
    let by_ada = |action| (action, Some("Ada"));
    assert_eq!(names, [by_ada("license.revoke"), by_ada("license.reinstate"), by_ada("license.suspend")]);
    // A revoked license offers no action.
    let shown = browser.get(&page).await.body;
    assert!(
        !shown.contains("/suspend") && !shown.contains("/reinstate") && !shown.contains("/revoke\""),
        "{shown}"
    );
}

const EMAIL_IN_PAGE: &str = "dev@example.com";

#[tokio::test]
async fn revocation_needs_the_typed_word() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let mut browser = app.signed_in(Scope::Admin).await;
    let target = format!("/console/licenses/{id}/revoke");
    for typed in ["", "Revoke", "yes"] {
        browser.post(&target, &[("confirmation", typed)]).await.assert_shows(422, "type the word revoke");
    }
    assert_eq!(app.services.licenses.get(&id).await.unwrap().detail.license.state, LicenseState::Active);
}

/// A double click renews once.
#[tokio::test]
async fn renewal_that_is_sent_twice_has_its_effect_once() {
    let app = TestApp::new().await;
    let before = app.issue().await.detail.license;
    let mut browser = app.signed_in(Scope::Admin).await;
    let target = format!("/console/licenses/{}/renew", before.id);
    let once = browser.get(&target).await.field("once");
    for _ in 0..2 {
        assert_eq!(browser.post(&target, &[("once", &once)]).await.status, 303);
    }
    let renewed = app.services.licenses.get(&before.id).await.unwrap().detail.license;
    assert_eq!(renewed.version, before.version + 1);
    assert!(renewed.expires_at > before.expires_at);
    assert_eq!(browser.post(&target, &[]).await.status, 422, "a form without its hidden field");
    let next = browser.get(&target).await.field("once");
    assert_ne!(next, once);
    browser.post(&target, &[("once", &next)]).await;
    assert_eq!(
        app.services.licenses.get(&before.id).await.unwrap().detail.license.version,
        before.version + 2
    );
}

#[tokio::test]
async fn denied_action_says_why() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    app.services.licenses.revoke(&id).await.unwrap();
    let mut browser = app.signed_in(Scope::Admin).await;
    let reply = browser.post(&format!("/console/licenses/{id}/suspend"), &[]).await;
    reply.assert_shows(409, "The license does not allow this");
    browser.get(&format!("/console/licenses/{id}/fly")).await.assert_shows(404, "There is no such page");
    browser.get("/console/licenses/lic_0/suspend").await.assert_shows(404, "There is no such license");
}

#[tokio::test]
async fn slot_is_shown_and_released() {
    let app = TestApp::new().await;
    let license = app.issue().await;
    let key = license.key.reveal().to_owned();
    let request =
        ValidateRequest { domain: Some("shop.example.com"), key: &key, ..ValidateRequest::default() };
    assert!(app.services.validation.validate(&request).await.unwrap().is_valid());
    let id = &license.detail.license.id;
    let mut browser = app.signed_in(Scope::Admin).await;
    let page = browser.get(&format!("/console/licenses/{id}")).await;
    page.assert_shows(200, "shop.example.com");
    page.assert_shows(200, "1 of 1");
    let slots = app
        .services
        .activations
        .list(id, Some(ActivationKind::Domain), &PageRequest::default())
        .await
        .unwrap();
    let target = format!("/console/licenses/{id}/slots/{}/release", slots.items[0].activation.id);
    assert!(page.body.contains(&target));
    browser.post(&target, &[]).await.assert_redirects(&format!("/console/licenses/{id}?done=released"));
    browser
        .get(&format!("/console/licenses/{id}?done=released"))
        .await
        .assert_shows(200, "No slot is in use");
    browser.post(&target, &[]).await.assert_shows(409, "no such activation");
}

/// The key is in no page until a person asks for it, which the audit tells.
#[tokio::test]
async fn shown_key_is_audited() {
    let app = TestApp::new().await;
    let license = app.issue().await;
    let (id, key) = (license.detail.license.id.clone(), license.key.reveal().to_owned());
    let mut browser = app.signed_in(Scope::LicensesRead).await;
    for path in ["", "/licenses", &format!("/licenses/{id}")] {
        let page = browser.get(&format!("/console{path}")).await;
        assert!(page.status == 200 && !page.body.contains(&key), "{path}");
    }
    browser.post(&format!("/console/licenses/{id}/key"), &[]).await.assert_shows(200, &key);
    let filter = AuditFilter { license_id: Some(id), ..AuditFilter::default() };
    let entries = app.services.access.audit(&filter, &PageRequest::default()).await.unwrap().items;
    let [shown] = &entries[..] else { panic!("one entry: {entries:?}") };
    assert_eq!(
        (shown.entry.action.as_str(), shown.entry.actor.principal.name()),
        ("license.key_shown", Some("Ada"))
    );
}

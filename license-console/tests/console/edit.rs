//! Changing the fields of a license, and its key.

use chrono::{DateTime, Utc};
use license_core::LicenseSpec;
use license_core::access::{AuditFilter, Scope};
use license_core::catalog::{Limit, Plan};
use license_core::license::{ActivationKind, CustomerEmail, CustomerName, ExternalId, License, LicenseId};
use license_core::service::ValidateRequest;
use license_core::store::PageRequest;

use super::app::{EMAIL, TestApp};

async fn license(app: &TestApp, id: &LicenseId) -> License {
    (*app.services.licenses.get(id).await.unwrap().detail.license).clone()
}

/// The fields of the form as the page shows them.
const FIELDS: [&str; 6] =
    ["max_domains", "max_devices", "customer_email", "customer_name", "external_id", "expires"];

async fn form(app: &TestApp, id: &LicenseId) -> Vec<(&'static str, String)> {
    let page = app.signed_in(Scope::Admin).await.get(&format!("/console/licenses/{id}/edit")).await;
    page.assert_shows(200, "Change the license of");
    let value = |name: &str| {
        let (_, input) = page.body.split_once(&format!(" name=\"{name}\"")).unwrap();
        let (_, value) = input.split_once(" value=\"").unwrap();
        value.split_once('"').unwrap().0.to_owned()
    };
    let mut fields: Vec<_> = FIELDS.iter().map(|name| (*name, value(name))).collect();
    let (_, plan) = page.body.split_once("\" selected>").unwrap();
    fields.push(("plan", plan.split_once('<').unwrap().0.to_owned()));
    fields.extend(["version", "shown_expires"].map(|name| (name, page.field(name))));
    fields
}

async fn send(app: &TestApp, id: &LicenseId, fields: &[(&str, String)]) -> super::browser::Reply {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    app.signed_in(Scope::Admin).await.post(&format!("/console/licenses/{id}/edit"), &fields).await
}

fn with(fields: &[(&'static str, String)], changes: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let new_value = |name: &str| changes.iter().find(|(other, _)| *other == name);
    let known = fields.iter().map(|(name, old)| {
        (*name, new_value(name).map_or_else(|| old.clone(), |(_, new)| (*new).to_owned()))
    });
    known.collect()
}

#[tokio::test]
async fn sent_fields_change_the_license() {
    let app = TestApp::new().await;
    app.services.catalog.create_plan(&Plan::new("team").max_domains(7).max_devices(8)).await.unwrap();
    let id = app.issue().await.detail.license.id.clone();
    let fields = form(&app, &id).await;
    let changes = [
        ("plan", "team"),
        ("max_devices", "9"),
        ("customer_email", "new@example.com"),
        ("customer_name", "New"),
        ("external_id", "order-8"),
        ("expires", "2030-02-03"),
    ];
    let reply = send(&app, &id, &with(&fields, &changes)).await;
    reply.assert_redirects(&format!("/console/licenses/{id}?done=edit"));
    let after = license(&app, &id).await;
    assert_eq!(after.plan, "team");
    assert_eq!(
        (after.max_domains, after.max_devices),
        (Limit::AtMost(7), Limit::AtMost(9)),
        "a limit that the form did not change follows the plan"
    );
    assert_eq!(after.customer_email.as_ref().map(CustomerEmail::as_str), Some("new@example.com"));
    assert_eq!(after.customer_name.as_ref().map(CustomerName::as_str), Some("New"));
    assert_eq!(after.external_id.as_ref().map(ExternalId::as_str), Some("order-8"));
    let end: DateTime<Utc> = "2030-02-03T00:00:00Z".parse().unwrap();
    assert_eq!(after.expires_at, Some(end));

    let mut browser = app.signed_in(Scope::Admin).await;
    browser.get(reply.header("location")).await.assert_shows(200, "The license is changed.");
    let filter = AuditFilter { license_id: Some(id.clone()), ..AuditFilter::default() };
    let entries = app.services.access.audit(&filter, &PageRequest::default()).await.unwrap().items;
    assert_eq!(entries[0].entry.actor.principal.name(), Some("Ada"));

    let cleared = FIELDS.map(|name| (name, ""));
    send(&app, &id, &with(&form(&app, &id).await, &cleared)).await;
    let cleared = license(&app, &id).await;
    assert_eq!((cleared.max_domains, cleared.max_devices), (Limit::Unlimited, Limit::Unlimited));
    assert_eq!((cleared.customer_email, cleared.external_id, cleared.expires_at), (None, None, None));
}

#[tokio::test]
async fn unchanged_form_keeps_the_license() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let before = license(&app, &id).await;
    let reply = send(&app, &id, &form(&app, &id).await).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    assert_eq!(license(&app, &id).await, before, "the time of the end stays too");
}

#[tokio::test]
async fn form_of_an_older_version_changes_nothing() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let old = with(&form(&app, &id).await, &[("max_devices", "5")]);
    app.services.licenses.renew(&id).await.unwrap();
    let before = license(&app, &id).await;
    send(&app, &id, &old).await.assert_shows(409, "The license does not allow this");
    assert_eq!(license(&app, &id).await, before);
}

#[tokio::test]
async fn wrong_field_says_what_is_wrong() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let (before, fields) = (license(&app, &id).await, form(&app, &id).await);
    for (name, value, status, why) in [
        ("plan", "", 422, "Plan: choose one"),
        ("plan", "none", 409, "There is no plan"),
        ("max_devices", "many", 422, "Devices: must be a whole number"),
        ("max_domains", "-1", 422, "Domains: must be a whole number"),
        ("customer_email", "anna", 422, "E-mail: "),
        ("expires", "tomorrow", 422, "Ends: must be a date"),
        ("version", "", 422, "hidden field"),
        ("expires", "+262142-12-31", 422, "Ends: must be a date"),
    ] {
        send(&app, &id, &with(&fields, &[(name, value)])).await.assert_shows(status, why);
    }
    assert_eq!(license(&app, &id).await, before);
}

#[tokio::test]
async fn key_is_replaced_once_and_frees_the_slots_on_request() {
    let app = TestApp::new().await;
    for releases in [false, true] {
        let spec = LicenseSpec::new("starter", EMAIL.parse().unwrap());
        let issued = app.services.licenses.issue(&spec, None).await.unwrap();
        let (id, old) = (issued.detail.license.id.clone(), issued.key.reveal().to_owned());
        let request =
            ValidateRequest { fingerprint: Some("laptop"), key: &old, ..ValidateRequest::default() };
        assert!(app.services.validation.validate(&request).await.unwrap().is_valid());
        let mut browser = app.signed_in(Scope::Admin).await;
        let target = format!("/console/licenses/{id}/rotate-key");
        let once = browser.get(&target).await.field("once");
        let mut fields = vec![("once", once.as_str())];
        if releases {
            fields.push(("release", "yes"));
        }
        browser.post(&target, &fields).await.assert_shows(422, "type the word replace");
        assert_eq!(app.services.licenses.get(&id).await.unwrap().key.reveal(), old);
        fields.push(("confirmation", "replace"));
        let reply = browser.post(&target, &fields).await;
        reply.assert_redirects(&format!("/console/licenses/{id}?done=rotate-key"));
        let replaced = app.services.licenses.get(&id).await.unwrap();
        let slots = replaced.detail.license.slots(ActivationKind::Device).used;
        assert!(replaced.key.reveal() != old && slots == u64::from(!releases), "{slots}");
        let page = browser.get(reply.header("location")).await;
        page.assert_shows(200, "The license has a new key");
        assert!(!page.body.contains(replaced.key.reveal()));
        assert_eq!(browser.post(&target, &fields).await.status, 303);
        assert_eq!(app.services.licenses.get(&id).await.unwrap().key, replaced.key, "sent twice");
    }
}

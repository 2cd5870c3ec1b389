//! Features beyond the plan, and blocks.

use license_core::access::Scope;
use license_core::catalog::FeatureValue;
use license_core::license::{Grants, LicenseId};
use license_core::service::ValidateRequest;

use super::app::TestApp;

async fn grants(app: &TestApp, id: &LicenseId) -> Grants {
    app.services.licenses.get(id).await.unwrap().detail.license.grants.clone()
}

#[tokio::test]
async fn granted_feature_is_shown_and_removed() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let (page, mut browser) = (format!("/console/licenses/{id}"), app.signed_in(Scope::Admin).await);
    for (kind, value, expected) in [
        ("on", "", FeatureValue::Bool(true)),
        ("off", "", FeatureValue::Bool(false)),
        ("number", "25", FeatureValue::Integer(25)),
        ("text", "25", FeatureValue::String("25".to_owned())),
    ] {
        let fields = [
            ("feature", "seats"),
            ("kind", kind),
            ("value", value),
            ("until", "2027-01-31"),
            ("source", "sub_17"),
        ];
        let reply = browser.post(&format!("{page}/grants"), &fields).await;
        reply.assert_redirects(&format!("{page}?done=grant"));
        let granted = grants(&app, &id).await;
        let all: Vec<_> = granted.iter().collect();
        assert_eq!(all.len(), 1, "the grant with this source is replaced");
        assert_eq!((all[0].value(), all[0].end()), (&expected, "2027-01-31T00:00:00Z".parse().ok()));
        browser.get(reply.header("location")).await.assert_shows(200, "The feature is granted.");
    }
    browser.get(&page).await.assert_shows(200, "seats: <bdi>25</bdi>");
    let wrong = browser.post(&format!("{page}/grants/remove"), &[("feature", "seats")]).await;
    wrong.assert_shows(409, "The license does not allow this");
    let fields = [("feature", "seats"), ("source", "sub_17")];
    let reply = browser.post(&format!("{page}/grants/remove"), &fields).await;
    reply.assert_redirects(&format!("{page}?done=grant-removed"));
    browser.get(reply.header("location")).await.assert_shows(200, "The grant is removed.");
    assert!(grants(&app, &id).await.is_empty());
}

#[tokio::test]
async fn wrong_grant_says_what_is_wrong() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let mut browser = app.signed_in(Scope::Admin).await;
    let good = [("feature", "seats"), ("kind", "number"), ("value", "1"), ("until", ""), ("source", "")];
    for (name, value, status, why) in [
        ("feature", "", 422, "Feature: type its name"),
        ("feature", "a\tb", 422, "Grant: "),
        ("kind", "", 422, "Kind: must be on, off, number or text"),
        ("value", "many", 422, "Value: must be a whole number"),
        ("until", "soon", 422, "Until: must be a date"),
        ("until", "2020-01-01", 409, "The license does not allow this"),
    ] {
        let fields = good.map(|(known, old)| if known == name { (known, value) } else { (known, old) });
        let reply = browser.post(&format!("/console/licenses/{id}/grants"), &fields).await;
        reply.assert_shows(status, why);
    }
    assert!(grants(&app, &id).await.is_empty());
}

#[tokio::test]
async fn slot_is_blocked_with_a_reason_and_unblocked() {
    let app = TestApp::new().await;
    let license = app.issue().await;
    let (id, key) = (license.detail.license.id.clone(), license.key.reveal().to_owned());
    let (page, mut browser) = (format!("/console/licenses/{id}"), app.signed_in(Scope::Admin).await);
    let uses = async |domain| {
        let request = ValidateRequest { domain: Some(domain), key: &key, ..ValidateRequest::default() };
        app.services.validation.validate(&request).await.unwrap().is_valid()
    };
    assert!(uses("shop.example.com").await);
    let shown = browser.get(&page).await;
    assert_eq!((shown.field("kind").as_str(), shown.field("name").as_str()), ("domain", "shop.example.com"));
    let slot = [("kind", "domain"), ("name", "shop.example.com")];
    let form = browser.post(&format!("{page}/block/ask"), &slot).await;
    form.assert_shows(200, "value=\"shop.example.com\"");
    assert!(uses("shop.example.com").await, "the form alone blocks nothing");
    let reply =
        browser.post(&format!("{page}/block"), &[&slot[..], &[("reason", "shared key")]].concat()).await;
    reply.assert_redirects(&format!("{page}?done=block"));
    assert!(!uses("shop.example.com").await);
    let shown = browser.get(reply.header("location")).await;
    shown.assert_shows(200, "It is blocked.");
    shown.assert_shows(200, "shared key");
    let block = app.services.licenses.get(&id).await.unwrap().detail.license.blocks.iter().next().cloned();
    let target = format!("{page}/blocks/{}/remove", block.unwrap().id);
    assert!(shown.body.contains(&target));
    browser.post(&target, &[]).await.assert_redirects(&format!("{page}?done=unblock"));
    assert!(uses("shop.example.com").await);
    browser.post(&target, &[]).await.assert_shows(409, "The license does not allow this");
}

#[tokio::test]
async fn wrong_block_says_what_is_wrong() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let mut browser = app.signed_in(Scope::Admin).await;
    for (kind, name, why) in [
        ("", "example.com", "Kind: must be domain or device"),
        ("domain", "", "Name: type the domain or the device"),
        ("domain", "no domain", "Domain: "),
        ("device", "a\nb", "Device: "),
    ] {
        let fields = [("kind", kind), ("name", name)];
        browser.post(&format!("/console/licenses/{id}/block"), &fields).await.assert_shows(422, why);
    }
    browser.get(&format!("/console/licenses/{id}/block")).await.assert_shows(200, "Block a domain");
}

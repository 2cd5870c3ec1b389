//! Signing keys.

use license_core::access::{AuditFilter, Scope};
use license_core::signing::SigningKeyState;
use license_core::store::PageRequest;

use super::app::TestApp;

fn active(app: &TestApp) -> String {
    app.services.signing_keys.current().active().unwrap().id.as_str().to_owned()
}

#[tokio::test]
async fn rotation_needs_the_typed_word() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::KeysWrite).await;
    let first = active(&app);
    let page = browser.get("/console/signing-keys").await;
    page.assert_shows(200, &first);
    page.assert_shows(200, "signed nothing");
    let target = "/console/signing-keys/rotate";
    browser.get(target).await.assert_shows(200, "What the present key signed stays valid.");
    browser.post(target, &[]).await.assert_shows(422, "type the word rotate");
    assert_eq!(active(&app), first);
    let reply = browser.post(target, &[("confirmation", "rotate")]).await;
    reply.assert_redirects("/console/signing-keys?done=rotate");
    browser.get(reply.header("location")).await.assert_shows(200, "The next key is active.");
    assert_ne!(active(&app), first);
    let entries = app.services.access.audit(&AuditFilter::default(), &PageRequest::default()).await.unwrap();
    assert_eq!(entries.items[0].entry.actor.principal.name(), Some("Ada"));
}

#[tokio::test]
async fn revocation_needs_the_typed_word() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::KeysWrite).await;
    let first = active(&app);
    let target = format!("/console/signing-keys/{first}/revoke");
    browser.get(&target).await.assert_shows(200, "This cannot be undone.");
    browser.post(&target, &[]).await.assert_shows(422, "type the word revoke");
    assert_eq!(active(&app), first);
    let reply = browser.post(&target, &[("confirmation", "revoke")]).await;
    reply.assert_redirects("/console/signing-keys?done=revoke");
    let keys = app.services.signing_keys.current();
    assert!(keys.keys().iter().any(|key| key.id.as_str() == first && key.state == SigningKeyState::Revoked));
    let unknown = format!("/console/signing-keys/{}/revoke", "A".repeat(43));
    browser.post(&unknown, &[("confirmation", "revoke")]).await.assert_shows(404, "There is no signing key");
    browser.get("/console/signing-keys/x/revoke").await.assert_shows(404, "There is no such page");
}

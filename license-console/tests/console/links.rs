//! One-time links.

use license_core::access::{Scope, TokenId};
use license_core::service::{Checked, FirstToken};

use super::app::{TestApp, by};

/// Returns the secret of a link for the first token.
async fn link(app: &TestApp) -> String {
    let first = app.services.access.first_token().await.unwrap();
    assert!(matches!(first, FirstToken::Created(_) | FirstToken::Existing));
    let made = app.services.access.create_link(&TokenId::first(), Scope::Admin.into(), &by()).await;
    made.unwrap().1.reveal().to_owned()
}

#[tokio::test]
async fn link_asks_before_it_is_used_up() {
    let app = TestApp::new().await;
    let (link, mut browser) = (link(&app).await, app.browser());
    let target = format!("/console/link?code={link}");
    // Mail scanners and previews follow links.
    for _ in 0..3 {
        let reply = browser.get(&target).await;
        reply.assert_shows(200, "Sign in as first admin token");
        assert_eq!((reply.header("set-cookie"), reply.field("code").as_str()), ("", link.as_str()));
    }
    browser.post("/console/link", &[("code", &link)]).await.assert_redirects("/console");
    browser.get("/console").await.assert_shows(200, "first admin token");
}

#[tokio::test]
async fn used_link_is_refused() {
    let app = TestApp::new().await;
    let link = link(&app).await;
    app.browser().post("/console/link", &[("code", &link)]).await.assert_redirects("/console");
    let mut second = app.browser();
    second.post("/console/link", &[("code", &link)]).await.assert_shows(410, "This link cannot be used");
    second.get(&format!("/console/link?code={link}")).await.assert_shows(410, "license-server console-link");
    assert_eq!(second.session(), None);
}

#[tokio::test]
async fn expired_link_is_refused() {
    let app = TestApp::new().await;
    let link = link(&app).await;
    app.advance(10);
    let mut browser = app.browser();
    assert_eq!(browser.get(&format!("/console/link?code={link}")).await.status, 410);
    assert_eq!(browser.post("/console/link", &[("code", &link)]).await.status, 410);
    assert_eq!(browser.session(), None);
}

#[tokio::test]
async fn link_of_revoked_token_is_refused() {
    let app = TestApp::new().await;
    let link = link(&app).await;
    app.services.access.revoke(&TokenId::first(), Scope::Admin.into(), &by()).await.unwrap();
    let mut browser = app.browser();
    assert_eq!(browser.get(&format!("/console/link?code={link}")).await.status, 410);
    assert_eq!(browser.post("/console/link", &[("code", &link)]).await.status, 410);
    let again = app.services.access.create_link(&TokenId::first(), Scope::Admin.into(), &by()).await;
    assert!(again.is_err(), "a revoked token has no links");
}

#[tokio::test]
async fn text_that_is_no_link_is_refused() {
    let app = TestApp::new().await;
    let token = app.token(Scope::Admin).await;
    let mut browser = app.browser();
    for code in ["", "x", token.reveal()] {
        assert_eq!(browser.get(&format!("/console/link?code={code}")).await.status, 410, "{code}");
        assert_eq!(browser.post("/console/link", &[("code", code)]).await.status, 410, "{code}");
    }
}

/// A session that was planted in the browser is not used after the link.
#[tokio::test]
async fn link_replaces_a_planted_session() {
    let app = TestApp::new().await;
    let (link, mallory) = (link(&app).await, app.signed_in(Scope::LicensesRead).await);
    let mut victim = app.browser();
    victim.cookies.clone_from(&mallory.cookies);
    victim.post("/console/link", &[("code", &link)]).await.assert_redirects("/console");
    assert_ne!(victim.session(), mallory.session());
    let planted = app.services.access.check_session(mallory.session().unwrap()).await.unwrap();
    assert_eq!(planted, Checked::Revoked, "the session of before has ended");
}
